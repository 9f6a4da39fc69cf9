{{- /* The variables of a node. Secret ones come from Secrets, the others from the ConfigMap. */ -}}

{{- /* A variable out of a Secret: (list ROOT VARIABLE BLOCK KEY). The chart's own has variables as keys. */ -}}
{{- define "chat-service.secretVariable" -}}
{{- $root := index . 0 }}
{{- $block := index . 2 -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ $block.existingSecret | default (include "chat-service.fullname" $root) }}
      key: {{ if $block.existingSecret }}{{ index . 3 }}{{ else }}{{ index . 1 }}{{ end }}
{{- end }}

{{- define "chat-service.databaseVariable" -}}
{{ include "chat-service.secretVariable" (list . "DATABASE_URL" .Values.postgres .Values.postgres.existingSecretKey) }}
{{- end }}

{{- define "chat-service.secretVariables" -}}
{{ include "chat-service.databaseVariable" . }}
{{ include "chat-service.secretVariable" (list . "REDIS_URL" .Values.redis .Values.redis.existingSecretKey) }}
{{ include "chat-service.secretVariable" (list . "JWT_SECRET" .Values.jwt .Values.jwt.existingSecretKey) }}
{{- if or (and .Values.jwt.existingSecret .Values.jwt.existingSecretPreviousKey) (and (not .Values.jwt.existingSecret) .Values.jwt.previousSecrets) }}
{{ include "chat-service.secretVariable" (list . "JWT_PREVIOUS_SECRETS" .Values.jwt .Values.jwt.existingSecretPreviousKey) }}
{{- end }}
{{- if or .Values.appToken.value .Values.appToken.existingSecret }}
{{ include "chat-service.secretVariable" (list . "APP_TOKEN" .Values.appToken .Values.appToken.existingSecretKey) }}
{{- end }}
{{- if .Values.s3.endpoint }}
{{ include "chat-service.secretVariable" (list . "S3_ACCESS_KEY" .Values.s3 .Values.s3.existingSecretAccessKey) }}
{{ include "chat-service.secretVariable" (list . "S3_SECRET_KEY" .Values.s3 .Values.s3.existingSecretSecretKey) }}
{{- end }}
{{- if include "chat-service.hasMail" . }}
{{ include "chat-service.secretVariable" (list . "MAIL_URL" .Values.mail .Values.mail.existingSecretKey) }}
{{- end }}
{{- end }}

{{- /* What stands in the ConfigMap, as YAML. */ -}}
{{- define "chat-service.plainVariables" -}}
HTTP_ADDR: {{ printf "%s:%d" .Values.listenAddress (int .Values.ports.http) | quote }}
METRICS_ADDR: {{ printf "%s:%d" .Values.listenAddress (int .Values.ports.metrics) | quote }}
SHUTDOWN_GRACE_MS: {{ mul 1000 (int .Values.shutdown.graceSeconds) | quote }}
DRAIN_WINDOW_MS: {{ mul 1000 (int .Values.shutdown.drainSeconds) | quote }}
JWT_ALGORITHM: {{ .Values.jwt.algorithm | quote }}
{{- if .Values.jwt.privateKey.existingSecret }}
JWT_PRIVATE_KEY_FILE: {{ printf "/etc/chat-service/jwt/%s" .Values.jwt.privateKey.existingSecretKey | quote }}
{{- end }}
{{- if .Values.jwt.previousPublicKeys.existingSecret }}
{{- $paths := list }}
{{- range .Values.jwt.previousPublicKeys.existingSecretKeys }}
{{- $paths = append $paths (printf "/etc/chat-service/jwt-previous/%s" .) }}
{{- end }}
JWT_PREVIOUS_PUBLIC_KEY_FILES: {{ join "," $paths | quote }}
{{- end }}
{{- if .Values.s3.endpoint }}
S3_ENDPOINT: {{ .Values.s3.endpoint | quote }}
S3_REGION: {{ .Values.s3.region | quote }}
S3_BUCKET: {{ .Values.s3.bucket | quote }}
{{- end }}
{{- if .Values.mail.from }}
MAIL_FROM: {{ .Values.mail.from | quote }}
{{- end }}
{{- if .Values.publicUrl }}
PUBLIC_URL: {{ .Values.publicUrl | quote }}
{{- end }}
{{- range $name, $value := .Values.config }}
{{ $name }}: {{ include "chat-service.text" $value | quote }}
{{- end }}
{{- end }}
