"""Renders the Helm chart in every shape and checks what comes out. Run by scripts/check-helm.sh."""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

import jsonschema
import kubernetes_validate
import yaml

RELEASE, NAMESPACE = "rel", "chat"
FIRST_VERSION = (1, 30)
LAST_VERSION = tuple(int(part) for part in kubernetes_validate.latest_version().split(".")[:2])

# Values that must be refused, on top of the minimal ones, and what the refusal says.
REFUSED = [
    (["nosuch=1"], "nosuch"),
    (["node.nosuch=1"], "nosuch"),
    (["writer.autoscaling.nosuch=1"], "nosuch"),
    (["config.NO_SUCH=1"], "NO_SUCH"),
    (["config.JWT_SECRET=1"], "JWT_SECRET"),
    (["jwt.algorithm=RS256"], "algorithm"),
    (["jwt.algorithm=ES256"], "jwt.privateKey.existingSecret is required"),
    (["jwt.secret="], "jwt.secret"),
    (["postgres.url=mysql://x"], "url"),
    (["postgres.url="], "postgres.url"),
    (["redis.urls=null"], "redis.urls"),
    (["image.digest=sha256:12"], "digest"),
    (["ports.http=70000"], "http"),
    (["s3.endpoint=https://s3.example.org"], "s3.existingSecret"),
    (["mail.existingSecret=mail"], "mail.from and publicUrl"),
    (["ingress.enabled=true", "ingress.hosts[0].host=a.example.org"], "TRUSTED_PROXIES"),
    (["httpRoute.enabled=true", "config.TRUSTED_PROXIES=10.0.0.0/8"], "httpRoute.parentRefs"),
    (["shutdown.drainSeconds=60"], "shutdown.graceSeconds"),
]

# Volumes that Pod Security's `restricted` lets be.
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}

# By libyaml where it is there, which is ten times as fast.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

problems = []


def load(text):
    return (document for document in yaml.load_all(text, Loader=LOADER) if document)


def problem(*parts):
    problems.append(": ".join(str(part) for part in parts))


class Helm:
    def __init__(self, program):
        self.program = program

    def run(self, *arguments):
        return subprocess.run([self.program, *map(str, arguments)], capture_output=True, text=True)

    def render(self, chart, version, *arguments):
        done = self.run("template", RELEASE, chart, "--namespace", NAMESPACE, "--kube-version", version, *arguments)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return list(load(done.stdout))


# --- schemas ---------------------------------------------------------------------------------


def closed(schema):
    """The same schema of a custom resource, refusing what it does not name."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    schema = {key: closed(part) for key, part in schema.items()}
    if isinstance(schema.get("pattern"), str):
        # Go lets a flag stand behind the anchor, Python does not.
        schema["pattern"] = re.sub(r"^\^\(\?i\)", "(?i)^", schema["pattern"])
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    return schema


def read_crds(paths):
    schemas = {}
    for path in paths:
        crd = next(load(path.read_text()))
        for version in crd["spec"]["versions"]:
            schema = closed(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            schemas[f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]] = schema
    return schemas


def check_schema(where, object_, version, crds):
    name = f"{object_['kind']} {object_['metadata']['name']}"
    try:
        crd = crds.get((object_["apiVersion"], object_["kind"]))
        if crd:
            jsonschema.validate(object_, crd)
        else:
            kubernetes_validate.validate(object_, version, strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        problem(where, version, name, ".".join(map(str, error.path)), error.message)
    except kubernetes_validate.SchemaNotFoundError as error:
        problem(where, version, name, error.message)


# --- Pods ------------------------------------------------------------------------------------


def pod_of(object_):
    """Metadata and spec of the Pod that an object is or makes."""
    if object_["kind"] == "Pod":
        return object_["metadata"], object_["spec"]
    template = object_.get("spec", {}).get("template") if object_["kind"] in ("Deployment", "Job") else None
    return (template["metadata"], template["spec"]) if template else (None, None)


def containers_of(pod):
    return pod.get("initContainers", []) + pod["containers"]


def check_restricted(where, pod):
    """Pod Security's `restricted`, and what we want beyond it."""
    of_pod = pod.get("securityContext", {})
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            problem(where, field)
    if pod.get("automountServiceAccountToken") is not False:
        problem(where, "has a token of its service account")
    for volume in pod.get("volumes", []):
        for kind in set(volume) - {"name"} - VOLUMES:
            problem(where, f"volume {volume['name']} is of the kind {kind}")
    for container in containers_of(pod):
        name, own = f"{where}: {container['name']}", container.get("securityContext", {})
        both = {**of_pod, **own}
        demands = {
            "runAsNonRoot": both.get("runAsNonRoot") is True,
            "runAsUser": both.get("runAsUser") != 0,
            "seccompProfile": both.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "privileged": not own.get("privileged"),
            "capabilities": own.get("capabilities") == {"drop": ["ALL"]},
            "readOnlyRootFilesystem": own.get("readOnlyRootFilesystem") is True,
            "hostPort": not any(port.get("hostPort") for port in container.get("ports", [])),
            "procMount": own.get("procMount", "Default") == "Default",
            "memory limit": "memory" in container.get("resources", {}).get("limits", {}),
            "requests": {"cpu", "memory"} <= container.get("resources", {}).get("requests", {}).keys(),
        }
        for demand, holds in demands.items():
            if not holds:
                problem(name, demand)


def check_volumes(where, pod):
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    for container in containers_of(pod):
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                problem(where, f"mounts {mount['name']}, which is no volume")


def check_shutdown(where, pod, configmaps):
    """Kubernetes must not kill a node that is still draining."""
    for container in pod["containers"]:
        if container.get("args") != ["serve"]:
            continue
        config = configmaps[container["envFrom"][0]["configMapRef"]["name"]]["data"]
        grace, drain = int(config["SHUTDOWN_GRACE_MS"]) / 1000, int(config["DRAIN_WINDOW_MS"]) / 1000
        before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        if pod["terminationGracePeriodSeconds"] <= before + grace:
            problem(where, "is killed before its grace period is over")
        if drain >= grace:
            problem(where, "drains for longer than its grace period")


# --- what belongs together -------------------------------------------------------------------


def matches(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


def is_hook(object_):
    return "helm.sh/hook" in object_["metadata"].get("annotations", {})


def references(pod):
    """What a Pod reads: kind, name and key, which may be missing."""
    for container in containers_of(pod):
        for variable in container.get("env", []):
            source = variable.get("valueFrom", {})
            for kind, field in (("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")):
                if field in source:
                    yield kind, source[field]["name"], source[field]["key"]
        for source in container.get("envFrom", []):
            if "configMapRef" in source:
                yield "ConfigMap", source["configMapRef"]["name"], None


def check_references(where, object_, pod, objects):
    """What the chart's own name stands on must be in the chart; for a hook, among the hooks."""
    own = re.compile(rf"{RELEASE}-chat")
    is_before = is_hook(object_) and "test" not in object_["metadata"]["annotations"]["helm.sh/hook"]
    for kind, name, key in references(pod):
        if not own.match(name):
            continue
        found = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name]
        if not found or (is_before and not is_hook(found[0])):
            problem(where, f"needs {kind} {name}, which is not there then")
        elif key and key not in found[0].get("data", {}):
            problem(where, f"needs {key} of {kind} {name}")


def check_together(where, objects):
    pods = [(o, *pod_of(o)) for o in objects if pod_of(o)[1]]
    services = {o["metadata"]["name"]: o for o in objects if o["kind"] == "Service"}
    configmaps = {o["metadata"]["name"]: o for o in objects if o["kind"] == "ConfigMap"}
    names = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects]
    for twice in {name for name in names if names.count(name) > 1}:
        problem(where, f"{twice} is there twice")
    for object_, metadata, pod in pods:
        place = f"{where}: {object_['kind']} {object_['metadata']['name']}"
        check_restricted(place, pod)
        check_volumes(place, pod)
        check_shutdown(place, pod, configmaps)
        check_references(place, object_, pod, objects)
        if object_["kind"] == "Deployment" and not matches(object_["spec"]["selector"]["matchLabels"], metadata["labels"]):
            problem(place, "does not select its own Pods")
    nodes = [(m, p) for o, m, p in pods if o["kind"] == "Deployment"]

    def selected(selector):
        return [(m, p) for m, p in nodes if matches(selector, m["labels"])]

    for name, service in services.items():
        chosen = selected(service["spec"]["selector"])
        ports = {port["name"] for _, pod in chosen for c in pod["containers"] for port in c.get("ports", [])}
        if not chosen or not {port["targetPort"] for port in service["spec"]["ports"]} <= ports:
            problem(where, f"Service {name} leads nowhere")
        for _, pod in chosen:
            roles = [v["value"] for c in pod["containers"] for v in c.get("env", []) if v["name"] == "NODE_ROLES"]
            if not name.endswith("-metrics") and not all("edge" in role for role in roles):
                problem(where, f"Service {name} leads to Pods that serve no clients")
    check_targets(where, objects, services, selected, pods)


def check_targets(where, objects, services, selected, pods):
    deployments = {o["metadata"]["name"] for o in objects if o["kind"] == "Deployment"}
    for object_ in objects:
        kind, name, spec = object_["kind"], object_["metadata"]["name"], object_.get("spec", {})
        if kind == "PodDisruptionBudget" and len(selected(spec["selector"]["matchLabels"])) != 1:
            problem(where, f"PodDisruptionBudget {name} is not of one Deployment")
        if kind == "HorizontalPodAutoscaler" and spec["scaleTargetRef"]["name"] not in deployments:
            problem(where, f"HorizontalPodAutoscaler {name} has no Deployment")
        if kind == "Ingress":
            for path in [path for rule in spec["rules"] for path in rule["http"]["paths"]]:
                if path["backend"]["service"]["name"] not in services:
                    problem(where, f"Ingress {name} leads nowhere")
        if kind == "HTTPRoute":
            for backend in [backend for rule in spec["rules"] for backend in rule.get("backendRefs", [])]:
                ports = {port["port"] for port in services[backend["name"]]["spec"]["ports"]}
                if backend["port"] not in ports:
                    problem(where, f"HTTPRoute {name} leads nowhere")
        if kind == "ServiceMonitor":
            wanted = spec["selector"]["matchLabels"]
            if not any(matches(wanted, service["metadata"]["labels"]) for service in services.values()):
                problem(where, f"ServiceMonitor {name} finds no Service")
    policies = [o["spec"] for o in objects if o["kind"] == "NetworkPolicy"]
    for object_, metadata, _ in pods:
        own = [p for p in policies if matches(p["podSelector"]["matchLabels"], metadata["labels"])]
        if len(own) != 1 or own[0]["policyTypes"] != ["Ingress", "Egress"]:
            problem(where, f"{object_['kind']} {object_['metadata']['name']} has {len(own)} network policies")


# --- the chart itself ------------------------------------------------------------------------


def resolved(schema, root):
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].removeprefix("#/definitions/")
    return {**root["definitions"][name], **{key: part for key, part in schema.items() if key != "$ref"}}


def check_values(chart):
    """values.yaml shows what the schema knows; each says what it is for."""
    root = json.loads((chart / "values.schema.json").read_text())

    def walk(schema, values, path):
        schema = resolved(schema, root)
        if path and schema.get("type") != "object" and "description" not in schema:
            problem("values.schema.json", f"{path} has no description")
        # Variables, and Deployments that differ from `node`, need not be shown.
        if "properties" not in schema or path.endswith("config") or path in ("edge", "writer", "jobs"):
            return
        if schema.get("additionalProperties") is not False:
            problem("values.schema.json", f"{path or 'the top'} lets anything be set")
        for key in schema["properties"].keys() ^ (values or {}).keys():
            if key != "global":
                problem(f"{path}.{key}", "stands either in values.yaml or in its schema, not in both")
        for key, part in schema["properties"].items():
            walk(part, (values or {}).get(key), f"{path}.{key}".lstrip("."))

    walk(root, yaml.safe_load((chart / "values.yaml").read_text()), "")


def check_refusals(helm, chart, minimal):
    version = ".".join(map(str, LAST_VERSION))
    done = helm.run("template", RELEASE, chart, "--kube-version", version)
    for required in ("postgres.url", "redis.urls", "jwt.secret"):
        if done.returncode == 0 or required not in done.stderr:
            problem("without values", f"{required} is not asked for", done.stderr)
    for settings, said in REFUSED:
        arguments = [part for setting in settings for part in ("--set", setting)]
        done = helm.run("template", RELEASE, chart, "--kube-version", version, "-f", minimal, *arguments)
        if done.returncode == 0 or said not in done.stderr:
            problem("--set " + ",".join(settings), f"is not refused with {said!r}", done.stderr)
    done = helm.run("template", RELEASE, chart, "--kube-version", f"1.{FIRST_VERSION[1] - 1}", "-f", minimal)
    if done.returncode == 0:
        problem("a version of Kubernetes that is too old is not refused")


def check_files(helm, chart, grafana, full):
    """What lies in /grafana is reached by the link, comes out unchanged, and is in the package."""
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        copy, boards, rules = scratch / chart, scratch / "grafana/dashboards", scratch / "grafana/alerts"
        shutil.copytree(chart, copy, symlinks=True)
        shutil.copytree(grafana, scratch / "grafana")
        # Also where there are none yet: what looks like a template of Helm's must stay as it is.
        rule = {"alert": "A", "expr": "up == 0", "annotations": {"summary": "{{ $labels.instance }}: {{ $value }}"}}
        for folder in (boards, rules):
            folder.mkdir(exist_ok=True)
        (rules / "sample.yaml").write_text(yaml.safe_dump({"groups": [{"name": "sample", "rules": [rule]}]}))
        (boards / "sample.json").write_text(json.dumps({"title": "{{instance}}", "panels": []}, indent=2) + "\n")

        objects = helm.render(copy, ".".join(map(str, LAST_VERSION)), "-f", full)
        specs = [o["spec"] for o in objects if o["kind"] == "PrometheusRule"]
        data = {name: text for o in objects if o["kind"] == "ConfigMap" for name, text in o["data"].items()}
        done = helm.run("package", copy, "--destination", scratch)
        archive = next(scratch.glob("*.tgz"), None)
        if not archive:
            problem("package", done.stderr)
            return
        packed = tarfile.open(archive).getnames()
        for path in sorted([*rules.glob("*.yaml"), *boards.glob("*.json")]):
            if path.suffix == ".yaml" and next(load(path.read_text())) not in specs:
                problem(path.name, "does not come out as a PrometheusRule")
            if path.suffix == ".json" and json.loads(data.get(path.name, "null")) != json.loads(path.read_text()):
                problem(path.name, "does not come out as a dashboard")
            if f"{chart.name}/files/grafana/{path.parent.name}/{path.name}" not in packed:
                problem(path.name, "is not in the package")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--helm", required=True)
    parser.add_argument("--chart", type=pathlib.Path, required=True)
    parser.add_argument("--crd", action="append", type=pathlib.Path, default=[])
    options = parser.parse_args()
    helm, chart, crds = Helm(options.helm), options.chart, read_crds(options.crd)
    shapes = {path.stem.removeprefix("values-"): path for path in sorted((chart / "ci").glob("values-*.yaml"))}
    for name, arguments in {"default": [], **{name: ["-f", path] for name, path in shapes.items()}}.items():
        done = helm.run("lint", "--strict", chart, *arguments)
        if done.returncode != 0:
            problem("lint", name, done.stdout + done.stderr)
    check_values(chart)
    check_refusals(helm, chart, shapes["minimal"])
    count = 0
    for minor in range(FIRST_VERSION[1], LAST_VERSION[1] + 1):
        for name, path in shapes.items():
            version = f"1.{minor}"
            try:
                objects = helm.render(chart, version, "-f", path)
            except RuntimeError as error:
                problem(name, version, error)
                continue
            count += len(objects)
            for object_ in objects:
                check_schema(name, object_, version, crds)
            check_together(name, objects)
    check_files(helm, chart, pathlib.Path("grafana"), shapes["full"])
    for line in dict.fromkeys(problems):
        print(line, file=sys.stderr)
    if problems:
        sys.exit(f"the chart has {len(dict.fromkeys(problems))} problem(s)")
    versions = f"1.{FIRST_VERSION[1]} to 1.{LAST_VERSION[1]}"
    print(f"the chart is well: {len(shapes)} shapes, Kubernetes {versions}, {count} objects, {len(REFUSED)} refusals")


main()
