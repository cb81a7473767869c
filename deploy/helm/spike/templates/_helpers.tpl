{{/* Names. */}}
{{- define "spike.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "spike.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains (include "spike.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "spike.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The name that a Service has everywhere in the cluster: (list $ "nexus-headless") */}}
{{- define "spike.host" -}}
{{- $root := index . 0 -}}
{{- printf "%s-%s.%s.svc.%s" (include "spike.fullname" $root) (index . 1) $root.Release.Namespace $root.Values.clusterDomain -}}
{{- end -}}

{{/* Keepers in the order of their shares, which must never change. */}}
{{- define "spike.peers" -}}
{{- $host := include "spike.host" (list . "keeper-headless") -}}
{{- $peers := list -}}
{{- range $number := until (int .Values.keeper.replicas) -}}
{{- $peers = append $peers (printf "https://%s-keeper-%d.%s:8443" (include "spike.fullname" $) $number $host) -}}
{{- end -}}
{{- join "," $peers -}}
{{- end -}}

{{/* The ConfigMap in which Bootstrap remembers that it is done. It makes it by itself, and Helm does not know it. */}}
{{- define "spike.state" -}}
{{- include "spike.fullname" . }}-bootstrap-state
{{- end -}}

{{/*
Whom a NetworkPolicy, a Service and a ClusterSPIFFEID mean: (list $ "nexus"). Pods have these labels and no others: with the
chart's version among them, every new chart would restart every Keeper.
*/}}
{{- define "spike.selector" -}}
app.kubernetes.io/name: {{ include "spike.name" (index . 0) }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "spike.labels" -}}
{{ include "spike.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
{{- end -}}

{{- define "spike.image" -}}
{{- $image := (index . 0).Values.image -}}
{{- $name := index . 1 -}}
{{- $registry := required "image.registry is needed: where you pushed the images of deploy/docker/build, such as registry.example.org/spike" $image.registry -}}
{{- with get $image.digests $name -}}
{{- printf "%s/spike-%s@%s" $registry $name . -}}
{{- else -}}
{{- printf "%s/spike-%s:%s" $registry $name (default (index $ 0).Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* What every pod has. */}}
{{- define "spike.pod" -}}
serviceAccountName: {{ include "spike.fullname" (index . 0) }}-{{ index . 1 }}
enableServiceLinks: false
{{- with (index . 0).Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- if not (index . 0).Values.openshift }}
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  {{- end }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* What every container has. */}}
{{- define "spike.container" -}}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- define "spike.socketVolume" -}}
- name: spiffe-workload-api
  csi:
    driver: {{ .Values.spire.csiDriver }}
    readOnly: true
{{- end -}}

{{- define "spike.socketMount" -}}
- name: spiffe-workload-api
  mountPath: /spiffe-workload-api
  readOnly: true
{{- end -}}

{{/* The settings that every program has: (list $ list-of-roles). */}}
{{- define "spike.env" -}}
{{- $root := index . 0 -}}
- name: SPIFFE_ENDPOINT_SOCKET
  value: unix:///spiffe-workload-api/{{ $root.Values.spire.socket }}
- name: SPIKE_SYSTEM_LOG_LEVEL
  value: {{ $root.Values.logLevel }}
{{- range $role := index . 1 }}
- name: SPIKE_TRUST_ROOT_{{ $role | snakecase | upper }}
  value: {{ default $root.Values.trustDomain (get $root.Values.trustRoots $role) | quote }}
{{- end }}
{{- end -}}

{{/* Helm reads every number of a values file as one with a fraction, and would write a large one as 1e+06. */}}
{{- define "spike.extraEnv" -}}
{{- range $name, $value := . }}
{{- $text := toString $value }}
{{- if and (kindIs "float64" $value) (eq (floor $value) $value) }}
{{- $text = printf "%.0f" $value }}
{{- end }}
- name: {{ $name }}
  value: {{ $text | quote }}
{{- end }}
{{- end -}}

{{/* The same for Nexus and the Keepers. */}}
{{- define "spike.metricsEnv" -}}
{{- with .Values.metrics.spiffeIds -}}
- name: SPIKE_METRICS_SPIFFE_IDS
  value: {{ join "," . | quote }}
{{- end -}}
{{- end -}}

{{/* The same for Nexus and Bootstrap. */}}
{{- define "spike.quorumEnv" -}}
- name: SPIKE_NEXUS_KEEPER_PEERS
  value: {{ include "spike.peers" . | quote }}
- name: SPIKE_NEXUS_SHAMIR_SHARES
  value: {{ .Values.keeper.replicas | quote }}
- name: SPIKE_NEXUS_SHAMIR_THRESHOLD
  value: {{ .Values.keeper.threshold | quote }}
- name: SPIKE_NEXUS_BACKEND_STORE
  value: {{ .Values.nexus.backend }}
{{- end -}}

{{/*
The port of health is open before a process has its identity, and /livez does not ask whether it has a key: nobody is ended
because SPIRE is late. A process must be stuck for a minute, because a Keeper that is ended loses its share.
*/}}
{{- define "spike.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: telemetry}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: telemetry}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: telemetry}
  periodSeconds: 3
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}

{{- define "spike.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
