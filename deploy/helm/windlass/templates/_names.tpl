{{/* Names and labels. */}}

{{- define "windlass.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 35 | trimSuffix "-" -}}
{{- end -}}

{{- define "windlass.fullname" -}}
{{- $name := include "windlass.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 35 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 35 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 35 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "windlass.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: windlass
{{ include "windlass.selector" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels by which objects find pods; they never change. */}}
{{- define "windlass.selector" -}}
app.kubernetes.io/name: {{ include "windlass.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of pods: without versions, so that a new chart alone does not replace pods that work. */}}
{{- define "windlass.podLabels" -}}
app.kubernetes.io/part-of: windlass
{{ include "windlass.selector" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "windlass.workerAccount" -}}
{{- with .Values.serviceAccount.worker -}}
{{- if .create -}}{{ default (printf "%s-worker" (include "windlass.fullname" $)) .name }}{{- else -}}{{ default "default" .name }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "windlass.serveAccount" -}}
{{- with .Values.serviceAccount.serve -}}
{{- if .create -}}{{ default (printf "%s-serve" (include "windlass.fullname" $)) .name }}{{- else -}}{{ default "default" .name }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where serve is, from anywhere in the cluster: KEDA lives in another namespace. */}}
{{- define "windlass.serveUrl" -}}
{{- $port := int .Values.serve.service.port -}}
{{- $scheme := ternary "https" "http" (ne .Values.serve.tls.existingSecret "") -}}
{{- $usual := ternary 443 80 (eq $scheme "https") -}}
{{- printf "%s://%s-serve.%s.svc" $scheme (include "windlass.fullname" .) .Release.Namespace -}}
{{- if ne $port $usual -}}{{ printf ":%d" $port }}{{- end -}}
{{- end -}}
