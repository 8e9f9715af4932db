{{- /* What all three containers have in common. */}}
{{- define "tunery.common" -}}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
volumeMounts:
  - {name: data, mountPath: /var/lib/tunery}
  - {name: tmp, mountPath: /tmp}
  - {name: shm, mountPath: /dev/shm}
envFrom:
  - configMapRef: {name: {{ include "tunery.fullname" . }}}
{{- end }}

{{- /* Goes on with the list that "tunery.common" ends with. */}}
{{- define "tunery.storageEnv" -}}
{{- with .Values.storage.existingSecret }}
  - secretRef: {name: {{ . }}}
{{- end }}
{{- end }}

{{- define "tunery.secretEnv" -}}
- name: REDIS_URL
  valueFrom:
    secretKeyRef:
      name: {{ required "redis.existingSecret is required" .Values.redis.existingSecret }}
      key: {{ .Values.redis.existingSecretKey }}
{{ include "tunery.databaseEnv" . }}
{{- end }}

{{- define "tunery.databaseEnv" -}}
{{- if .Values.database.existingSecret -}}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.database.existingSecret }}
      key: {{ .Values.database.existingSecretKey }}
{{- end }}
{{- end }}

{{- /* The gateway answers only for the hosts that it was told of, and a probe comes by address. */}}
{{- define "tunery.httpGet" -}}
{{- $root := index . 0 }}
httpGet:
  path: {{ index . 1 }}
  port: http
  {{- with $root.Values.settings.TUNERY_ALLOWED_HOSTS }}
  httpHeaders:
    - {name: Host, value: {{ splitList "," . | first | trim | quote }}}
  {{- end }}
{{- end }}

{{- define "tunery.gateway" -}}
name: gateway
image: {{ include "tunery.image" (list . "gateway") }}
args: [gateway]
{{ include "tunery.common" . }}
{{- include "tunery.storageEnv" . }}
env:
  - {name: TUNERY_HOST, value: "0.0.0.0"}
  - {name: TUNERY_PORT, value: "8000"}
  {{- include "tunery.secretEnv" . | nindent 2 }}
ports:
  - {name: http, containerPort: 8000}
startupProbe:
  {{- include "tunery.httpGet" (list . "/livez") | nindent 2 }}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  {{- include "tunery.httpGet" (list . "/livez") | nindent 2 }}
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  {{- include "tunery.httpGet" (list . "/readyz") | nindent 2 }}
  periodSeconds: 5
  timeoutSeconds: 5
lifecycle:
  # Until nobody sends requests here any more.
  preStop: {exec: {command: [sleep, "5"]}}
resources:
  {{- toYaml .Values.gateway.resources | nindent 2 }}
{{- end }}

{{- define "tunery.engine" -}}
name: engine
image: {{ include "tunery.image" (list . .Values.device) }}
args:
  - engine
  {{- with .Values.engine.extraArgs }}
  - --
  {{- toYaml . | nindent 2 }}
  {{- end }}
# Begins before the gateway and the worker, and ends when both have ended.
restartPolicy: Always
{{ include "tunery.common" . }}
env:
  - {name: TUNERY_DEVICE, value: {{ .Values.device }}}
livenessProbe:
  exec:
    command: [sh, -c, "exec curl -fsS -o /dev/null --unix-socket $TUNERY_HOME/run/engine.sock http://engine/health"]
  initialDelaySeconds: {{ .Values.engine.startSeconds }}
  periodSeconds: 30
  timeoutSeconds: 10
resources:
  {{- toYaml .Values.engine.resources | nindent 2 }}
{{- end }}

{{- define "tunery.worker" -}}
name: worker
image: {{ include "tunery.image" (list . .Values.device) }}
args: [worker]
{{ include "tunery.common" . }}
{{- include "tunery.storageEnv" . }}
env:
  - {name: TUNERY_DEVICE, value: {{ .Values.device }}}
  {{- include "tunery.secretEnv" . | nindent 2 }}
resources:
  {{- toYaml .Values.worker.resources | nindent 2 }}
{{- end }}
