{{/* What a pool is: its own values over those of `worker`. */}}

{{/* Every pool that is on, by name, as JSON. Templates read it with fromJson. */}}
{{- define "windlass.pools" -}}
{{- $pools := dict -}}
{{- range $name, $own := .Values.pools -}}
{{- if kindIs "map" $own -}}
{{- $pool := mergeOverwrite (deepCopy $.Values.worker) (deepCopy $own) -}}
{{- if $pool.enabled -}}{{- $_ := set $pools $name $pool -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $pools -}}
{{- end -}}

{{/* Seconds of a duration such as 1h30m or 90s. */}}
{{- define "windlass.seconds" -}}
{{- $seconds := 0 -}}
{{- range regexFindAll "[0-9]+[hms]" . -1 -}}
{{- $number := regexFind "[0-9]+" . | int -}}
{{- $unit := dict "h" 3600 "m" 60 "s" 1 -}}
{{- $seconds = add $seconds (mul $number (get $unit (regexFind "[hms]" .))) -}}
{{- end -}}
{{- $seconds -}}
{{- end -}}

{{/* The drain time-out and 15 s: ten that the hand-back may take (docs/operations.md), five that nobody counted on. */}}
{{- define "windlass.grace" -}}
{{- add (include "windlass.seconds" .drainTimeout | int) 15 -}}
{{- end -}}

{{/* Names of a pool's queues, without weights, as JSON. */}}
{{- define "windlass.queueNames" -}}
{{- $names := list -}}
{{- range .queues -}}{{- $names = append $names (regexReplaceAll "=.*" . "") -}}{{- end -}}
{{- toJson (sortAlpha $names) -}}
{{- end -}}

{{/* Backlog that a pod should have. */}}
{{- define "windlass.target" -}}
{{- round (mulf .slots .autoscaling.utilisation) 3 -}}
{{- end -}}

{{/* What `windlass nodes` shows with the node. $(...) is filled in by Kubernetes. */}}
{{- define "windlass.nodeLabels" -}}
{{- $labels := list (printf "pool=%s" .name) "k8s_node=$(NODE_NAME)" -}}
{{- range $key, $value := .pool.nodeLabels -}}{{- $labels = append $labels (printf "%s=%v" $key $value) -}}{{- end -}}
{{- join "," $labels -}}
{{- end -}}

{{- define "windlass.image" -}}
{{- $image := mergeOverwrite (deepCopy .root.Values.image) (deepCopy (default dict .own)) -}}
{{- $tag := default .root.Chart.AppVersion $image.tag -}}
{{- if $image.digest -}}{{ $image.repository }}@{{ $image.digest }}{{- else -}}{{ $image.repository }}:{{ $tag }}{{- end -}}
{{- end -}}
