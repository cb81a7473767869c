{{/*
What an upgrade must not do, as far as the cluster can be asked: `helm template` and GitOps controllers ask nothing.
*/}}
{{- define "spike.guard" -}}
{{- if ge (int .Values.keeper.threshold) (int .Values.keeper.replicas) -}}
{{- fail "keeper.threshold must be below keeper.replicas: otherwise no Keeper could be restarted" -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" (include "spike.fullname" .)) -}}
{{- fail (printf "%q cannot be the name of a Service: give fullnameOverride, which begins with a letter and has small letters, digits and hyphens" (include "spike.fullname" .)) -}}
{{- end -}}
{{- if .Release.IsUpgrade -}}
{{- $keepers := printf "%s-keeper" (include "spike.fullname" .) -}}
{{- range (lookup "apps/v1" "StatefulSet" .Release.Namespace "").items -}}
{{- $labels := default dict .metadata.labels -}}
{{- if and (eq (toString (get $labels "app.kubernetes.io/instance")) $.Release.Name) (eq (toString (get $labels "app.kubernetes.io/component")) "keeper") -}}
{{- if or (ne .metadata.name $keepers) (ne (toString (get $labels "app.kubernetes.io/name")) (include "spike.name" $)) -}}
{{- fail (printf "the Keepers of this release are %s, and with these values they would be %s: all of them would be replaced at once, and the key lost. nameOverride and fullnameOverride are fixed" .metadata.name $keepers) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $live := lookup "apps/v1" "StatefulSet" .Release.Namespace (printf "%s-keeper" (include "spike.fullname" .)) -}}
{{- if and $live (eq (include "spike.isBootstrapped" .) "true") -}}
{{- $quorum := get (default dict $live.metadata.annotations) "spike.ist/quorum" -}}
{{- $wanted := include "spike.quorum" . -}}
{{- if and $quorum (ne $quorum $wanted) -}}
{{- fail (printf "the root key is split %s, and the values say %s: keeper.replicas and keeper.threshold are fixed once Bootstrap has run" $quorum $wanted) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "spike.quorum" -}}
{{ printf "%d-of-%d" (int .Values.keeper.threshold) (int .Values.keeper.replicas) }}
{{- end -}}

{{- define "spike.isBootstrapped" -}}
{{- $state := lookup "v1" "ConfigMap" .Release.Namespace (include "spike.state" .) -}}
{{- eq (toString (get (default dict (default dict $state).data) "bootstrap-completed")) "true" -}}
{{- end -}}

{{/*
Why Keepers must stay as they are: empty where they may be replaced, one at a time. With everything ready, an upgrade that
replaces Nexus and one Keeper at the same time leaves all shares but one. With a Keeper that is empty already it would
leave all but two, and those may be too few.
*/}}
{{- define "spike.heldBack" -}}
{{- if and .Release.IsUpgrade (eq (toString .Values.keeper.partition) "auto") (eq (include "spike.isBootstrapped" .) "true") -}}
{{- $keepers := lookup "apps/v1" "StatefulSet" .Release.Namespace (printf "%s-keeper" (include "spike.fullname" .)) -}}
{{- $nexus := lookup "apps/v1" "StatefulSet" .Release.Namespace (printf "%s-nexus" (include "spike.fullname" .)) -}}
{{- $ready := dig "status" "readyReplicas" 0 (default dict $keepers) | int -}}
{{- if and $keepers (lt $ready (int .Values.keeper.replicas)) -}}
only {{ $ready }} of {{ .Values.keeper.replicas }} Keepers hold their shares
{{- else if and $nexus (lt (dig "status" "readyReplicas" 0 $nexus | int) 1) -}}
Nexus is not ready, so that nobody could give a new Keeper its share
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "spike.partition" -}}
{{- if include "spike.heldBack" . -}}
{{- int .Values.keeper.replicas -}}
{{- else if eq (toString .Values.keeper.partition) "auto" -}}
0
{{- else -}}
{{- int .Values.keeper.partition -}}
{{- end -}}
{{- end -}}
