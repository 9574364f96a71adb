{{/* Parts that the pods of workers and of serve share. */}}

{{/* `as`: a user, or none to leave it to the platform. */}}
{{- define "windlass.podSecurity" -}}
runAsNonRoot: true
{{- if .as }}
runAsUser: {{ int .as }}
runAsGroup: {{ int .as }}
fsGroup: {{ int .as }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "windlass.containerSecurity" -}}
runAsNonRoot: true
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* windlass.toml of a pool or of serve: what all have, and its own. */}}
{{- define "windlass.toml" -}}
{{- $text := trim (printf "%s\n\n%s" (trim .root.Values.config) (trim .own)) -}}
{{- if $text }}{{ $text }}{{ else }}# Nothing is set here: see `config` of the chart.{{ end -}}
{{- end -}}

{{/* How a component gets into Redis, as JSON: serve may have a user of its own. */}}
{{- define "windlass.redis" -}}
{{- $redis := deepCopy .root.Values.redis -}}
{{- if eq .component "serve" -}}
{{- $own := .root.Values.serve.redis -}}
{{- if or $own.url $own.existingSecret.urlKey -}}
{{- $_ := set $redis "url" $own.url -}}
{{- $_ := set $redis.existingSecret "urlKey" $own.existingSecret.urlKey -}}
{{- end -}}
{{- if $own.existingSecret.name -}}
{{- $_ := set $redis.existingSecret "name" $own.existingSecret.name -}}
{{- $_ := set $redis.existingSecret "passwordKey" $own.existingSecret.passwordKey -}}
{{- end -}}
{{- end -}}
{{- toJson $redis -}}
{{- end -}}

{{/* Variables of every container: `root` and `component` are given. */}}
{{- define "windlass.env" -}}
{{- $redis := include "windlass.redis" . | fromJson -}}
{{- $root := .root -}}
- {name: WINDLASS_CONFIG, value: /etc/windlass/windlass.toml}
- {name: WINDLASS_LOG, value: {{ $root.Values.log.level | quote }}}
- {name: WINDLASS_LOG_FORMAT, value: {{ $root.Values.log.format | quote }}}
{{- if $redis.embedded.enabled }}
- {name: WINDLASS_REDIS_URL, value: {{ printf "redis://%s-redis:6379" (include "windlass.fullname" $root) | quote }}}
{{- else if $redis.existingSecret.urlKey }}
- {name: WINDLASS_REDIS_URL_FILE, value: /run/secrets/windlass/redis-url}
{{- else }}
- {name: WINDLASS_REDIS_URL, value: {{ $redis.url | quote }}}
{{- end }}
{{- with $redis.existingSecret }}
{{- if and .name .passwordKey (not .urlKey) }}
- {name: WINDLASS_REDIS_PASSWORD_FILE, value: /run/secrets/windlass/redis-password}
{{- end }}
{{- if and .name .sentinelPasswordKey }}
- {name: WINDLASS_REDIS_SENTINEL_PASSWORD_FILE, value: /run/secrets/windlass/redis-sentinel-password}
{{- end }}
{{- end }}
{{- with $redis.tls }}
{{- if .existingSecret }}
{{- if .caKey }}
- {name: WINDLASS_REDIS_TLS_CA, value: /run/secrets/windlass/redis-ca.crt}
{{- end }}
{{- if .certKey }}
- {name: WINDLASS_REDIS_TLS_CERT, value: /run/secrets/windlass/redis-tls.crt}
- {name: WINDLASS_REDIS_TLS_KEY, value: /run/secrets/windlass/redis-tls.key}
{{- end }}
{{- end }}
{{- end }}
{{- with $root.Values.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The variables that name mounted secrets. */}}
{{- define "windlass.secretEnv" -}}
{{- range . }}
{{- if .env }}
- {name: {{ .env }}, value: /run/secrets/windlass/{{ .path }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* All secrets of a container, each as a source of the projected volume. */}}
{{- define "windlass.secretSources" -}}
{{- $redis := include "windlass.redis" . | fromJson -}}
{{- with $redis.existingSecret }}
{{- if and .name .urlKey }}
- secret: {name: {{ .name }}, items: [{key: {{ .urlKey }}, path: redis-url}]}
{{- end }}
{{- if and .name .passwordKey (not .urlKey) }}
- secret: {name: {{ .name }}, items: [{key: {{ .passwordKey }}, path: redis-password}]}
{{- end }}
{{- if and .name .sentinelPasswordKey }}
- secret: {name: {{ .name }}, items: [{key: {{ .sentinelPasswordKey }}, path: redis-sentinel-password}]}
{{- end }}
{{- end }}
{{- with $redis.tls }}
{{- if .existingSecret }}
- secret:
    name: {{ .existingSecret }}
    items:
    {{- if .caKey }}
      - {key: {{ .caKey }}, path: redis-ca.crt}
    {{- end }}
    {{- if .certKey }}
      - {key: {{ .certKey }}, path: redis-tls.crt}
      - {key: {{ .keyKey }}, path: redis-tls.key}
    {{- end }}
{{- end }}
{{- end }}
{{- range .files }}
- secret: {name: {{ .secretName }}, items: [{key: {{ .key }}, path: {{ .path }}}]}
{{- end }}
{{- end -}}

{{/* Soft: a zone that is gone must not keep pods from starting. */}}
{{- define "windlass.spread" -}}
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- include "windlass.selector" $.root | nindent 6 }}
      app.kubernetes.io/component: {{ $.component }}
      {{- with $.pool }}
      windlass/pool: {{ . }}
      {{- end }}
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end -}}

{{/* What decides where a pod runs. */}}
{{- define "windlass.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}
