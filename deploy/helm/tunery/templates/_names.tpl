{{- define "tunery.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "tunery.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "tunery.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "tunery.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "tunery.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tunery.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tunery.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "tunery.selectorLabels" . }}
{{- end }}

{{- define "tunery.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "tunery.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "tunery.claim" -}}
{{- default (include "tunery.fullname" .) .Values.persistence.existingClaim }}
{{- end }}

{{- /* Called with the root and the variant: gateway, cpu or cuda. */}}
{{- define "tunery.image" -}}
{{- $root := index . 0 }}
{{- printf "%s:%s-%s" $root.Values.image.repository (default $root.Chart.AppVersion $root.Values.image.tag) (index . 1) | quote }}
{{- end }}
