{{- /* What Pods have in common. */ -}}

{{- /* `restricted` in every Pod, also those of hooks and tests. */ -}}
{{- define "chat-service.podBasics" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "chat-service.containerBasics" -}}
image: {{ include "chat-service.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- with .Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* The one variable that migrations need: (list ROOT NAME-OF-THE-CHART'S-SECRET). */ -}}
{{- define "chat-service.migrationEnv" -}}
{{- $root := index . 0 }}
{{- $own := eq "true" (include "chat-service.migrationsUrlIsOwn" $root) }}
{{- $block := $own | ternary $root.Values.migrations.postgres $root.Values.postgres -}}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      {{- if $block.existingSecret }}
      name: {{ $block.existingSecret }}
      key: {{ $block.existingSecretKey }}
      {{- else }}
      name: {{ index . 1 }}
      key: {{ (and $own (eq (index . 1) (include "chat-service.fullname" $root))) | ternary "MIGRATIONS_DATABASE_URL" "DATABASE_URL" }}
      {{- end }}
{{- range $name, $value := pick $root.Values.config "LOG_FORMAT" "LOG_LEVEL" }}
- name: {{ $name }}
  value: {{ include "chat-service.text" $value | quote }}
{{- end }}
{{- end }}

{{- /* A probe: (list PATH VALUES). */ -}}
{{- define "chat-service.probe" -}}
httpGet:
  path: {{ index . 0 }}
  port: http
{{ toYaml (index . 1) }}
{{- end }}

{{- /* The containers of a node: (list ROOT NAME VALUES). */ -}}
{{- define "chat-service.nodeContainer" -}}
{{- $root := index . 0 }}
{{- $name := index . 1 }}
{{- $component := index . 2 -}}
- name: chat-service
  {{- include "chat-service.containerBasics" $root | nindent 2 }}
  args: ["serve"]
  env:
    - name: NODE_NAME
      valueFrom:
        fieldRef:
          fieldPath: metadata.name
    - name: NODE_ROLES
      value: {{ eq $name "node" | ternary "edge,writer,jobs" $name | quote }}
    {{- include "chat-service.secretVariables" $root | nindent 4 }}
    {{- range $variable, $value := $component.config }}
    - name: {{ $variable }}
      value: {{ include "chat-service.text" $value | quote }}
    {{- end }}
    {{- with $root.Values.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  envFrom:
    - configMapRef:
        name: {{ include "chat-service.fullname" $root }}
    {{- with $root.Values.extraEnvFrom }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - name: http
      containerPort: {{ $root.Values.ports.http }}
      protocol: TCP
    - name: metrics
      containerPort: {{ $root.Values.ports.metrics }}
      protocol: TCP
  startupProbe:
    {{- include "chat-service.probe" (list "/api/health/live" $root.Values.startupProbe) | nindent 4 }}
  livenessProbe:
    {{- include "chat-service.probe" (list "/api/health/live" $root.Values.livenessProbe) | nindent 4 }}
  readinessProbe:
    {{- include "chat-service.probe" (list "/api/health/ready" $root.Values.readinessProbe) | nindent 4 }}
  {{- if $root.Values.shutdown.preStopSeconds }}
  lifecycle:
    preStop:
      sleep:
        seconds: {{ $root.Values.shutdown.preStopSeconds }}
  {{- end }}
  {{- with $component.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumeMounts:
    - name: tmp
      mountPath: /tmp
    {{- if $root.Values.jwt.privateKey.existingSecret }}
    - name: jwt
      mountPath: /etc/chat-service/jwt
      readOnly: true
    {{- end }}
    {{- if $root.Values.jwt.previousPublicKeys.existingSecret }}
    - name: jwt-previous
      mountPath: /etc/chat-service/jwt-previous
      readOnly: true
    {{- end }}
    {{- with $root.Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "chat-service.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ .Values.tmp.sizeLimit }}
{{- with .Values.jwt.privateKey }}
{{- if .existingSecret }}
- name: jwt
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items:
      - key: {{ .existingSecretKey }}
        path: {{ .existingSecretKey }}
{{- end }}
{{- end }}
{{- with .Values.jwt.previousPublicKeys }}
{{- if .existingSecret }}
- name: jwt-previous
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Over zones and machines, counting the Pods of one release of the code: (list ROOT NAME). */ -}}
{{- define "chat-service.spread" -}}
{{- range $index, $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
{{- if $index }}{{ "\n" }}{{ end -}}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "chat-service.selectorLabels" (index $ 0) | nindent 6 }}
      app.kubernetes.io/component: {{ index $ 1 }}
  matchLabelKeys:
    - pod-template-hash
{{- end }}
{{- end }}
