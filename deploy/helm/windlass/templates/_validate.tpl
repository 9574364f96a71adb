{{/* Combinations that the schema cannot see. Each message says what to do. */}}

{{- define "windlass.validate" -}}
{{- include "windlass.validateRedis" . -}}
{{- include "windlass.validateServe" . -}}
{{- $pools := include "windlass.pools" . | fromJson -}}
{{- if not $pools -}}
{{- fail "windlass: no pool is on, so nobody would run tasks. Give `pools` one, or set `pools.default.enabled: true`." -}}
{{- end -}}
{{- range $name, $pool := $pools -}}
{{- include "windlass.validatePool" (dict "root" $ "name" $name "pool" $pool) -}}
{{- end -}}
{{- end -}}

{{- define "windlass.validateRedis" -}}
{{- $redis := .Values.redis -}}
{{- $ways := list -}}
{{- if $redis.embedded.enabled -}}{{- $ways = append $ways "redis.embedded.enabled" -}}{{- end -}}
{{- if $redis.url -}}{{- $ways = append $ways "redis.url" -}}{{- end -}}
{{- if $redis.existingSecret.urlKey -}}{{- $ways = append $ways "redis.existingSecret.urlKey" -}}{{- end -}}
{{- if not $ways -}}
{{- fail "windlass: where is Redis? Set `redis.url` (such as rediss://windlass-worker@redis.example.com:6379) and `redis.existingSecret.name` for its password, or, for a trial, `redis.embedded.enabled: true`." -}}
{{- end -}}
{{- if gt (len $ways) 1 -}}
{{- fail (printf "windlass: Redis is given more than once (%s): leave one of them." (join ", " $ways)) -}}
{{- end -}}
{{- if and $redis.existingSecret.urlKey (not $redis.existingSecret.name) -}}
{{- fail "windlass: `redis.existingSecret.urlKey` needs `redis.existingSecret.name`." -}}
{{- end -}}
{{- if and $redis.existingSecret.name (not $redis.existingSecret.urlKey) (not $redis.existingSecret.passwordKey) -}}
{{- fail "windlass: `redis.existingSecret.name` is set, but neither `passwordKey` nor `urlKey` says what to take from it." -}}
{{- end -}}
{{- range $key, $url := dict "redis.url" $redis.url "serve.redis.url" .Values.serve.redis.url -}}
{{- if regexMatch "^[a-z+]+://[^/@]*:[^/@]+@" $url -}}
{{- fail (printf "windlass: `%s` holds a password, which would stand in the Deployment for everybody to read. Put it into a Secret and set `existingSecret.name` and `existingSecret.passwordKey` beside it." $key) -}}
{{- end -}}
{{- end -}}
{{- if and (eq (empty $redis.tls.certKey) (not (empty $redis.tls.keyKey))) -}}
{{- fail "windlass: `redis.tls.certKey` and `redis.tls.keyKey` belong together: set both or none." -}}
{{- end -}}
{{- end -}}

{{- define "windlass.validateServe" -}}
{{- $serve := .Values.serve -}}
{{- if and $serve.redis.existingSecret.urlKey (not $serve.redis.existingSecret.name) -}}
{{- fail "windlass: `serve.redis.existingSecret.urlKey` needs `serve.redis.existingSecret.name`." -}}
{{- end -}}
{{- if and .Values.redis.embedded.enabled (or $serve.redis.url $serve.redis.existingSecret.name) -}}
{{- fail "windlass: the embedded Redis has no users: leave `serve.redis` empty." -}}
{{- end -}}
{{- if $serve.enabled -}}
{{- $inConfig := regexMatch "(?m)^\\s*\\[tokens\\." (printf "%s\n%s" .Values.config $serve.config) -}}
{{- if not (or $serve.tokens.existingSecret $serve.tokens.toml $inConfig) -}}
{{- fail "windlass: serve has no tokens, so it would refuse everybody. Run `windlass tokens generate NAME --roles read,operate --append tokens.toml`, make a Secret of that file (`kubectl create secret generic windlass-tokens --from-file=tokens.toml`) and set `serve.tokens.existingSecret`, or give its text as `serve.tokens.toml`. To do without serve: `serve.enabled: false`." -}}
{{- end -}}
{{- $taken := dict "WINDLASS_SERVE_DRAIN_TIMEOUT" "drainTimeout" "WINDLASS_SERVE_TOKENS_FILE" "tokens.existingSecret" "WINDLASS_SERVE_OPEN_METRICS" "openMetrics" "WINDLASS_SERVE_TLS_CERT" "tls.existingSecret" "WINDLASS_SERVE_TLS_KEY" "tls.existingSecret" "WINDLASS_SERVE_LISTEN" "" -}}
{{- include "windlass.validateEnv" (dict "at" "serve" "env" (concat .Values.env $serve.env) "taken" $taken) -}}
{{- include "windlass.validateFiles" (dict "at" "serve" "files" (concat .Values.secretFiles $serve.secretFiles)) -}}
{{- if and $serve.tokens.existingSecret $serve.tokens.toml -}}
{{- fail "windlass: `serve.tokens.existingSecret` and `serve.tokens.toml` are both set: leave one of them." -}}
{{- end -}}
{{- include "windlass.validateToml" (dict "what" "serve.tokens.toml" "text" $serve.tokens.toml) -}}
{{- include "windlass.validateToml" (dict "what" "config with serve.config" "text" (include "windlass.toml" (dict "root" . "own" $serve.config))) -}}
{{- if and $serve.ingress.enabled (not $serve.ingress.hosts) -}}
{{- fail "windlass: the Ingress has no host. Set `serve.ingress.hosts: [windlass.example.com]`." -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled (not $serve.openMetrics) (not $serve.readToken.existingSecret) -}}
{{- fail "windlass: Prometheus needs a token for serve's /metrics. Set `serve.readToken.existingSecret` to a Secret with a token of the role `read`, or `serve.openMetrics: true`." -}}
{{- end -}}
{{- else if .Values.metrics.serviceMonitor.enabled -}}
{{- fail "windlass: `metrics.serviceMonitor.enabled` needs serve: set `serve.enabled: true`." -}}
{{- end -}}
{{- end -}}

{{- define "windlass.validateToml" -}}
{{- $read := fromToml (default "" .text) -}}
{{- with $read.Error -}}
{{- fail (printf "windlass: %s is no TOML: %s" $.what .) -}}
{{- end -}}
{{- end -}}

{{- define "windlass.validatePool" -}}
{{- $pool := .pool -}}
{{- $at := printf "pools.%s" .name -}}
{{- include "windlass.validateToml" (dict "what" (printf "config with %s.config" $at) "text" (include "windlass.toml" (dict "root" .root "own" $pool.config))) -}}
{{- if not $pool.queues -}}{{- fail (printf "windlass: %s serves no queue: set %s.queues." $at $at) -}}{{- end -}}
{{- range include "windlass.queueNames" $pool | fromJsonArray -}}
{{- if has . (list "nodes" "queues" "llm" "batch") -}}{{- fail (printf "windlass: %s.queues: the name %q is reserved; choose another." $at .) -}}{{- end -}}
{{- end -}}
{{- if eq (include "windlass.seconds" $pool.drainTimeout | int) 0 -}}
{{- fail (printf "windlass: %s.drainTimeout %q is zero: each pod that leaves would hand back what it runs at once. Use at least 1s." $at $pool.drainTimeout) -}}
{{- end -}}
{{- $taken := dict "WINDLASS_DRAIN_TIMEOUT" "drainTimeout" "WINDLASS_CONCURRENCY" "slots" "WINDLASS_QUEUES" "queues" "WINDLASS_LABELS" "nodeLabels" "WINDLASS_ADMIN" "" "WINDLASS_POD_DELETION_COST" "podDeletionCost.enabled" "WINDLASS_WORKSPACE" "" -}}
{{- include "windlass.validateEnv" (dict "at" $at "env" (concat .root.Values.env $pool.env) "taken" $taken) -}}
{{- $files := concat .root.Values.secretFiles $pool.secretFiles -}}
{{- include "windlass.validateFiles" (dict "at" $at "files" $files) -}}
{{- $mounted := list "redis-password" "redis-sentinel-password" "redis-ca.crt" "redis-tls.crt" "redis-tls.key" -}}
{{- range $files -}}{{- $mounted = append $mounted .path -}}{{- end -}}
{{- range regexFindAll "/run/secrets/windlass/[A-Za-z0-9._-]+" (include "windlass.toml" (dict "root" .root "own" $pool.config)) -1 -}}
{{- if not (has (base .) $mounted) -}}
{{- fail (printf "windlass: the configuration of %s names %s, which is not mounted, so its workers would not start. Add it to %s.secretFiles (or worker.secretFiles), or move the table that names it into the `config` of the pools that have it." $at . $at) -}}
{{- end -}}
{{- end -}}
{{- include "windlass.validateScaling" . -}}
{{- end -}}

{{/* A variable that stands twice would win or lose by its place. */}}
{{- define "windlass.validateEnv" -}}
{{- $taken := mergeOverwrite (dict "WINDLASS_CONFIG" "config" "WINDLASS_REDIS_URL" "" "WINDLASS_REDIS_URL_FILE" "" "WINDLASS_REDIS_PASSWORD_FILE" "") .taken -}}
{{- range .env -}}
{{- if hasKey $taken .name -}}
{{- fail (printf "windlass: the variable %s is set by the chart%s." .name (ternary "" (printf ": use %s.%s" $.at (get $taken .name)) (eq (get $taken .name) ""))) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "windlass.validateFiles" -}}
{{- $seen := dict -}}
{{- range .files -}}
{{- if hasKey $seen .path -}}{{- fail (printf "windlass: %s has two secretFiles with the path %q." $.at .path) -}}{{- end -}}
{{- $_ := set $seen .path true -}}
{{- end -}}
{{- end -}}

{{- define "windlass.validateScaling" -}}
{{- $scaling := .pool.autoscaling -}}
{{- $at := printf "pools.%s.autoscaling" .name -}}
{{- if ne $scaling.mode "none" -}}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) -}}
{{- fail (printf "windlass: %s.minReplicas (%d) is more than maxReplicas (%d)." $at (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $scaling.mode "hpa") (lt (int $scaling.minReplicas) 1) -}}
{{- fail (printf "windlass: %s.minReplicas is 0, but an HPA does not scale to zero. Set it to 1, or use mode `keda`." $at) -}}
{{- end -}}
{{- if eq $scaling.mode "keda" -}}
{{- if gt (int $scaling.keda.fallbackReplicas) (int $scaling.maxReplicas) -}}
{{- fail (printf "windlass: %s.keda.fallbackReplicas (%d) is more than maxReplicas (%d)." $at (int $scaling.keda.fallbackReplicas) (int $scaling.maxReplicas)) -}}
{{- end -}}
{{- if eq $scaling.keda.trigger "metrics-api" -}}
{{- if not .root.Values.serve.enabled -}}
{{- fail (printf "windlass: %s.keda.trigger `metrics-api` asks serve, which is off. Set `serve.enabled: true`, or the trigger `prometheus`." $at) -}}
{{- end -}}
{{- if not .root.Values.serve.readToken.existingSecret -}}
{{- fail (printf "windlass: %s: KEDA needs a token to ask serve. Put one with the role `read` into a Secret and set `serve.readToken.existingSecret`." $at) -}}
{{- end -}}
{{- else if not $scaling.keda.prometheusAddress -}}
{{- fail (printf "windlass: %s.keda.trigger `prometheus` needs %s.keda.prometheusAddress, such as http://prometheus.monitoring.svc:9090." $at $at) -}}
{{- end -}}
{{- end -}}
{{- end -}}
