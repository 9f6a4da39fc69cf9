{{- /* Names, labels, and what several templates ask. */ -}}

{{- define "chat-service.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Short enough for what is put behind it. */ -}}
{{- define "chat-service.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "chat-service.selectorLabels" -}}
app.kubernetes.io/name: {{ include "chat-service.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "chat-service.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "chat-service.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: {{ include "chat-service.name" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* What all Pods bear. Not the chart's version: it would restart them for nothing. */ -}}
{{- define "chat-service.podLabels" -}}
{{ include "chat-service.selectorLabels" . }}
app.kubernetes.io/part-of: {{ include "chat-service.name" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Annotations within `metadata`, with their line's break: (list ROOT OWN). Own ones win. */ -}}
{{- define "chat-service.annotations" }}
{{- $root := index . 0 }}
{{- with merge (dict) (index . 1 | default dict) $root.Values.commonAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}

{{- define "chat-service.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ printf "%s@%s" .repository .digest }}
{{- else }}{{ printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "chat-service.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "chat-service.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* The Deployments, by name, with commas between. */ -}}
{{- define "chat-service.components" -}}
{{- if .Values.split }}edge,writer,jobs{{ else }}node{{ end }}
{{- end }}

{{- /* The values of a Deployment as YAML: (list ROOT NAME). */ -}}
{{- define "chat-service.component" -}}
{{- $root := index . 0 }}
{{- $name := index . 1 }}
{{- if eq $name "node" }}
{{- toYaml $root.Values.node }}
{{- else }}
{{- toYaml (mergeOverwrite (deepCopy $root.Values.node) (index $root.Values $name | default dict)) }}
{{- end }}
{{- end }}

{{- define "chat-service.componentName" -}}
{{- $root := index . 0 }}
{{- $name := index . 1 }}
{{- if eq $name "node" }}{{ include "chat-service.fullname" $root }}
{{- else }}{{ printf "%s-%s" (include "chat-service.fullname" $root) $name }}
{{- end }}
{{- end }}

{{- /* A value as a variable has it: YAML's large numbers would be written with an exponent. */ -}}
{{- define "chat-service.text" -}}
{{- if kindIs "float64" . }}{{ . | int64 | toString }}{{ else }}{{ . | toString }}{{ end }}
{{- end }}

{{- define "chat-service.hasMail" -}}
{{- if or .Values.mail.url .Values.mail.existingSecret }}true{{ end }}
{{- end }}

{{- define "chat-service.migrationsUrlIsOwn" -}}
{{- if or .Values.migrations.postgres.url .Values.migrations.postgres.existingSecret }}true{{ end }}
{{- end }}

{{- /* What is wrong with the values and no schema can tell. */ -}}
{{- define "chat-service.check" -}}
{{- $v := .Values }}
{{- $problems := list }}
{{- if not (or $v.postgres.url $v.postgres.existingSecret) }}
{{- $problems = append $problems "postgres.url or postgres.existingSecret is required" }}
{{- end }}
{{- if not (or $v.redis.urls $v.redis.existingSecret) }}
{{- $problems = append $problems "redis.urls or redis.existingSecret is required" }}
{{- end }}
{{- if not (or $v.jwt.secret $v.jwt.existingSecret) }}
{{- $problems = append $problems "jwt.secret (`openssl rand -hex 32`) or jwt.existingSecret is required" }}
{{- end }}
{{- if and (ne $v.jwt.algorithm "HS256") (not $v.jwt.privateKey.existingSecret) }}
{{- $problems = append $problems (printf "jwt.privateKey.existingSecret is required with %s" $v.jwt.algorithm) }}
{{- end }}
{{- if and $v.jwt.previousPublicKeys.existingSecretKeys (not $v.jwt.previousPublicKeys.existingSecret) }}
{{- $problems = append $problems "jwt.previousPublicKeys.existingSecret is required with existingSecretKeys" }}
{{- end }}
{{- if and $v.s3.endpoint (not $v.s3.existingSecret) (not (and $v.s3.accessKey $v.s3.secretKey)) }}
{{- $problems = append $problems "s3.existingSecret, or s3.accessKey and s3.secretKey, are required with s3.endpoint" }}
{{- end }}
{{- if and (include "chat-service.hasMail" .) (not (and $v.mail.from $v.publicUrl)) }}
{{- $problems = append $problems "mail.from and publicUrl are required with mail" }}
{{- end }}
{{- if and (or $v.ingress.enabled $v.httpRoute.enabled) (not (or $v.config.TRUSTED_PROXIES $v.node.config.TRUSTED_PROXIES (dig "config" "TRUSTED_PROXIES" "" $v.edge))) }}
{{- $problems = append $problems "config.TRUSTED_PROXIES is required with an Ingress or HTTPRoute: the networks of the proxy's Pods. Else all clients would count as one address, and share one address's limits" }}
{{- end }}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) }}
{{- $problems = append $problems "ingress.hosts is required with ingress.enabled" }}
{{- end }}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) }}
{{- $problems = append $problems "httpRoute.parentRefs is required with httpRoute.enabled" }}
{{- end }}
{{- if le (int $v.shutdown.graceSeconds) (int $v.shutdown.drainSeconds) }}
{{- $problems = append $problems "shutdown.graceSeconds must be more than shutdown.drainSeconds" }}
{{- end }}
{{- if $problems }}
{{- fail (printf "\n\nchat-service: the values have %d problem(s):\n  - %s\n" (len $problems) (join "\n  - " $problems)) }}
{{- end }}
{{- end }}
