{{/* What pods are made of. */}}

{{/* Who a pod runs as. Takes {root, user}; without a user the platform chooses. */}}
{{- define "swath.podSecurity" -}}
runAsNonRoot: true
{{- with .user }}
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
{{- end }}
# Whole volumes are not gone through at each start; and programs find private folders as private as they made them.
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "swath.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "swath.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* What all pods have alike. Takes {root, user}. */}}
{{- define "swath.podBase" -}}
# Kubernetes would put SWATH_PORT=tcp://... into pods for a Service called swath.
enableServiceLinks: false
securityContext:
  {{- include "swath.podSecurity" . | nindent 2 }}
dnsConfig:
  options:
    # Full names are asked for as they are, instead of below every search domain first.
    - {name: ndots, value: "2"}
{{- include "swath.pullSecrets" .root }}
{{- end -}}

{{/* Variables of every service and of standalone. Takes {root, part, values}. */}}
{{- define "swath.env" -}}
{{- include "swath.merged" (dict "own" (include "swath.ownEnv" . | fromYamlArray) "extra" .values.extraEnv "key" "name") -}}
{{- end -}}

{{/* Those that the chart itself sets. Takes {root, part, values}. */}}
{{- define "swath.ownEnv" -}}
{{- $root := .root -}}
{{- $fullname := include "swath.fullname" $root -}}
{{- $process := include "swath.process" . | fromJson -}}
{{- $standalone := eq .part "standalone" -}}
{{- $set := dict
  "SWATH_HOST" $root.Values.bindAddress
  "SWATH_PORT" (toString $process.ports.grpc)
  "SWATH_HEALTH_PORT" (toString $process.ports.health)
  "SWATH_STATE" "/var/lib/swath"
  "SWATH_LOG_LEVEL" $root.Values.log.level
  "SWATH_LOG_FORMAT" $root.Values.log.format
  "SWATH_AUTH" ($root.Values.auth.mode | replace "disabled" "off")
  "SWATH_CONFIGS" (include "swath.ownConfigs" $root | empty | not | ternary "/etc/swath/configs" "/opt/swath/configs")
  "SWATH_DRAIN_LAG_S" (toString .values.drain.lagSeconds)
  "SWATH_DRAIN_GRACE_S" (toString .values.drain.graceSeconds)
  "TMPDIR" "/tmp"
  "HOME" "/tmp"
-}}
{{- if and (eq .part "inference") .values.shm.hostPath }}{{ $_ := set $set "SWATH_INFERENCE_SEGMENTS_BEHIND_GATEWAY" "true" }}{{ end -}}
{{- if and (eq .part "apps") (eq $root.Values.gateway.mode "envoy") -}}
{{- /* Applications call published models as other clients do. */ -}}
{{- $_ := set $set "SWATH_APP_TARGET" (printf "%s:%v" (include "swath.host" (dict "root" $root "service" $fullname)) $root.Values.gateway.service.port) -}}
{{- if and (include "swath.publicTls" $root) (not $root.Values.gateway.tls.secretName) -}}
{{- $_ := set $set "SWATH_APP_TLS_ROOT" "/etc/swath/tls/ca.crt" -}}
{{- end -}}
{{- end -}}
{{- with $root.Values.otlp.address }}{{ $_ := set $set "SWATH_OTLP_ADDRESS" . }}{{ end -}}
{{- if include "swath.tokensSecret" $root }}{{ $_ := set $set "SWATH_TOKENS_FILE" "/etc/swath/auth/tokens.json" }}{{ end -}}
{{- with $root.Values.auth.tokens }}{{ $_ := set $set "SWATH_TOKENS" (toJson .) }}{{ end -}}
{{- if has .part (list "inference" "standalone") -}}
{{- with $root.Values.auth.users }}{{ $_ := set $set "SWATH_USERS" (toJson .) }}{{ end -}}
{{- if $root.Values.auth.usersSecret }}{{ $_ := set $set "SWATH_USERS_FILE" "/etc/swath/users/users.json" }}{{ end -}}
{{- if include "swath.signingSecret" $root }}{{ $_ := set $set "SWATH_SIGNING_KEYS_FILE" "/etc/swath/signing/keys.json" }}{{ end -}}
{{- end -}}
{{- with $root.Values.auth.jwt.issuers }}{{ $_ := set $set "SWATH_JWT_ISSUERS" (toJson .) }}{{ end -}}
{{- if include "swath.tls" $root -}}
{{- $_ := set $set "SWATH_TLS_CERT" "/etc/swath/tls/tls.crt" -}}
{{- $_ := set $set "SWATH_TLS_KEY" "/etc/swath/tls/tls.key" -}}
{{- $_ := set $set "SWATH_TLS_CA" "/etc/swath/tls/ca.crt" -}}
{{- if $standalone }}{{ $_ := set $set "SWATH_CLIENT_CERTIFICATES" $root.Values.standalone.clientCertificates }}{{ end -}}
{{- end -}}
{{- if has .part (list "training" "standalone") -}}
{{- $_ := set $set "SWATH_TRAINING_DRAIN_S" (toString $root.Values.training.drainSeconds) -}}
{{- end -}}
{{- with $process.ports.metrics }}{{ $_ := set $set "SWATH_METRICS_PORT" (toString .) }}{{ end -}}
{{- if not $standalone -}}
{{- $_ := set $set "SWATH_CACHE" "/var/cache/swath/copies" -}}
{{- $_ := set $set "SWATH_CACHE_BYTES" (int64 .values.cache.bytes | toString) -}}
{{- range splitList " " (include "swath.services" $root) -}}
{{- $_ := set $set (printf "SWATH_%s_ADDRESS" (upper .)) (include "swath.address" (dict "root" $root "part" .)) -}}
{{- end -}}
{{- $s3 := $root.Values.s3 -}}
{{- $_ := set $set "SWATH_S3_REGION" $s3.region -}}
{{- $_ := set $set "SWATH_ARTIFACTS_URL" ($s3.artifactsUrl | default (printf "s3://%s/artifacts" $s3.bucket)) -}}
{{- $_ := set $set "SWATH_WORKSPACE_URL" ($s3.workspaceUrl | default (printf "s3://%s/workspace" $s3.bucket)) -}}
{{- if $s3.enabled -}}
{{- $_ := set $set "SWATH_S3_ENDPOINT" (printf "http://%s:7070" (include "swath.host" (dict "root" $root "service" (printf "%s-s3" $fullname)))) -}}
{{- else -}}
{{- with $s3.endpoint }}{{ $_ := set $set "SWATH_S3_ENDPOINT" . }}{{ end -}}
{{- end -}}
{{- if or $s3.enabled $s3.allowHttp }}{{ $_ := set $set "SWATH_S3_ALLOW_HTTP" "true" }}{{ end -}}
{{- if and (eq .part "training") (eq $root.Values.training.launcher "kubernetes") -}}
{{- $_ := set $set "SWATH_JOBS_TEMPLATE" "/etc/swath/worker/job.yaml" -}}
{{- $_ := set $set "SWATH_JOBS_OWNER" (printf "%s-training" $fullname) -}}
{{- $_ := set $set "SWATH_JOBS_GPU_RESOURCE" $root.Values.training.workers.gpu.resourceName -}}
{{- $_ := set $set "SWATH_JOBS_PORT" (toString $root.Values.training.workers.ports.first) -}}
{{- $_ := set $set "SWATH_JOBS_LAST_PORT" (toString $root.Values.training.workers.ports.last) -}}
{{- end -}}
{{- end -}}
{{- if eq .part "apps" -}}
{{- with $root.Values.apps -}}
{{- $_ := set $set "SWATH_APPS_LAUNCHER" .launcher -}}
{{- $_ := set $set "SWATH_APPS_OWNER" (printf "%s-apps" $fullname) -}}
{{- if eq .launcher "kubernetes" -}}
{{- $_ := set $set "SWATH_APPS_TEMPLATE" "/etc/swath/replica/deployment.yaml" -}}
{{- $_ := set $set "SWATH_APPS_GPU_RESOURCE" .replicas.gpu.resourceName -}}
{{- $_ := set $set "SWATH_APPS_SCALING" .scaling.mode -}}
{{- $_ := set $set "SWATH_APPS_CPU_PERCENT" (toString .scaling.cpuPercent) -}}
{{- with .scaling.callsMetric }}{{ $_ := set $set "SWATH_APPS_CALLS_METRIC" . }}{{ end -}}
{{- with .scaling.prometheusUrl }}{{ $_ := set $set "SWATH_APPS_PROMETHEUS_URL" . }}{{ end -}}
{{- end -}}
{{- if eq .launcher "ray" -}}
{{- $_ := set $set "SWATH_APPS_RAY_IMAGE" .ray.image -}}
{{- $_ := set $set "SWATH_APPS_RAY_VERSION" .ray.version -}}
{{- $_ := set $set "SWATH_APPS_RAY_WORKERS" (toString .ray.workers) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := mergeOverwrite $set (deepCopy $root.Values.settings) (deepCopy (.values.settings | default dict)) }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- if not $standalone }}
- name: SWATH_REPLICA
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- with include "swath.s3Secret" $root }}
- name: SWATH_S3_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ . }}, key: {{ $root.Values.s3.enabled | ternary "access-key-id" $root.Values.s3.accessKeyIdKey }}}}
- name: SWATH_S3_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ . }}, key: {{ $root.Values.s3.enabled | ternary "secret-access-key" $root.Values.s3.secretAccessKeyKey }}}}
{{- end }}
{{- if $process.database }}
- name: SWATH_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ include "swath.postgresSecret" $root }}, key: {{ $root.Values.postgres.enabled | ternary "url" $root.Values.postgres.existingSecretKey }}}}
{{- end }}
{{- if and (eq .part "training") (eq $root.Values.training.launcher "kubernetes") }}
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
- name: SWATH_JOBS_ADDRESS
  value: "$(POD_IP):{{ $process.ports.grpc }}"
{{- end }}
{{- end }}
{{- include "swath.threads" (dict "name" "OMP_NUM_THREADS" "threads" .values.threads) }}
{{- end -}}

{{/* A variable with a number of threads. Takes {name, threads}; 0 follows the CPU limit. */}}
{{- define "swath.threads" }}
- name: {{ .name }}
{{- if .threads }}
  value: {{ .threads | quote }}
{{- else }}
  valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: "1"}}
{{- end }}
{{- end -}}

{{/* Where a service's pods are. Takes {root, part}. */}}
{{- define "swath.address" -}}
{{ include "swath.host" (dict "root" .root "service" (printf "%s-%s-headless" (include "swath.fullname" .root) .part)) }}:{{ (include "swath.process" . | fromJson).ports.grpc }}
{{- end -}}

{{/* Variables of the gateway. Takes {root, part, values}. */}}
{{- define "swath.gatewayEnv" -}}
{{- include "swath.merged" (dict "own" (include "swath.ownGatewayEnv" . | fromYamlArray) "extra" .values.extraEnv "key" "name") -}}
{{- end -}}

{{/* Those that the chart itself sets. Takes {root, part, values}. */}}
{{- define "swath.ownGatewayEnv" -}}
{{- $root := .root -}}
{{- $tls := $root.Values.gateway.tls -}}
{{- $ports := (include "swath.process" . | fromJson).ports -}}
{{- $set := dict
  "SWATH_HOST" $root.Values.bindAddress
  "SWATH_PORT" (toString $ports.grpc)
  "SWATH_HEALTH_PORT" (toString $ports.probe)
  "SWATH_DRAIN_LAG_S" (toString .values.drain.lagSeconds)
  "SWATH_DRAIN_GRACE_S" (toString .values.drain.graceSeconds)
  "TMPDIR" "/tmp"
  "HOME" "/tmp"
-}}
{{- range splitList " " (include "swath.services" $root) -}}
{{- $_ := set $set (printf "SWATH_%s_ADDRESS" (upper .)) (include "swath.address" (dict "root" $root "part" .)) -}}
{{- end -}}
{{- if include "swath.tls" $root -}}
{{- $_ := set $set "SWATH_TLS_CERT" "/etc/swath/tls/tls.crt" -}}
{{- $_ := set $set "SWATH_TLS_KEY" "/etc/swath/tls/tls.key" -}}
{{- $_ := set $set "SWATH_TLS_CA" "/etc/swath/tls/ca.crt" -}}
{{- end -}}
{{- if include "swath.publicTls" $root -}}
{{- $public := $tls.secretName | empty | not | ternary "/etc/swath/public-tls" "/etc/swath/tls" -}}
{{- $_ := set $set "SWATH_PUBLIC_TLS_CERT" (printf "%s/tls.crt" $public) -}}
{{- $_ := set $set "SWATH_PUBLIC_TLS_KEY" (printf "%s/tls.key" $public) -}}
{{- if $tls.clientCertificates -}}
{{- if $tls.clientCaSecret -}}
{{- $_ := set $set "SWATH_CLIENT_CA" "/etc/swath/client-ca/ca.crt" -}}
{{- else if include "swath.tls" $root -}}
{{- $_ := set $set "SWATH_CLIENT_CA" "/etc/swath/tls/ca.crt" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $root.Values.gateway.byModel -}}
{{- if .enabled -}}
{{- $_ := set $set "SWATH_ROUTE_BY_MODEL" "true" -}}
{{- $_ := set $set "SWATH_MODEL_LOAD_PERCENT" (toString .loadPercent) -}}
{{- end -}}
{{- end -}}
{{- with $root.Values.gateway.corsOrigins }}{{ $_ := set $set "SWATH_CORS_ORIGINS" (join "," .) }}{{ end -}}
{{- with $root.Values.otlp.address }}{{ $_ := set $set "SWATH_OTLP_ADDRESS" . }}{{ end -}}
{{- range $name, $value := mergeOverwrite $set (deepCopy (.values.settings | default dict)) }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- include "swath.threads" (dict "name" "SWATH_THREADS" "threads" .values.threads) }}
{{- end -}}

{{/* Whether the shipped configs are replaced. */}}
{{- define "swath.ownConfigs" -}}
{{- with .Values.configs -}}
{{- if or .existingConfigMap .existingClaim .bundle.url }}true{{ end -}}
{{- end -}}
{{- end -}}

{{/* A path as a key of a ConfigMap. */}}
{{- define "swath.key" -}}
{{- . | replace "/" "__" -}}
{{- end -}}

{{/* Volumes of a part. Takes {root, part, values}. */}}
{{- define "swath.volumes" -}}
{{- include "swath.merged" (dict "own" (include "swath.ownVolumes" . | fromYamlArray) "extra" .values.extraVolumes "key" "name") -}}
{{- end -}}

{{/* Those that the chart itself has. Takes {root, part, values}. */}}
{{- define "swath.ownVolumes" -}}
{{- $root := .root -}}
{{- $torch := eq .values.image "torch" -}}
- name: tmp
  emptyDir: {sizeLimit: {{ .values.tmpSize }}}
{{- if not (has .part (list "gateway" "standalone")) }}
- name: state
  emptyDir: {sizeLimit: {{ .values.stateSize }}}
- name: cache
  emptyDir: {sizeLimit: {{ .values.cache.size }}}
{{- end }}
{{- if $torch }}
- name: shm
{{- if and (eq .part "inference") .values.shm.hostPath }}
  hostPath: {path: {{ .values.shm.hostPath | quote }}, type: Directory}
{{- else }}
  emptyDir: {medium: Memory, sizeLimit: {{ .values.shm.size }}}
{{- end }}
{{- end }}
{{- if include "swath.tls" $root }}
- name: tls
  secret: {secretName: {{ include "swath.tlsSecret" (dict "root" $root "part" .part) }}, defaultMode: 0440}
{{- end }}
{{- if eq .part "gateway" }}
{{- with $root.Values.gateway.tls }}
{{- if and .enabled .secretName }}
- name: public-tls
  secret: {secretName: {{ .secretName }}, defaultMode: 0440}
{{- end }}
{{- if and .enabled .clientCertificates .clientCaSecret }}
- name: client-ca
  secret: {secretName: {{ .clientCaSecret }}, items: [{key: ca.crt, path: ca.crt}], defaultMode: 0440}
{{- end }}
{{- end }}
{{- else }}
{{- with include "swath.tokensSecret" $root }}
- name: auth
  secret: {secretName: {{ . }}, items: [{key: tokens.json, path: tokens.json}], defaultMode: 0440}
{{- end }}
{{- if has .part (list "inference" "standalone") }}
{{- with $root.Values.auth.usersSecret }}
- name: users
  secret: {secretName: {{ . }}, items: [{key: users.json, path: users.json}], defaultMode: 0440}
{{- end }}
{{- with include "swath.signingSecret" $root }}
- name: signing
  secret: {secretName: {{ . }}, items: [{key: keys.json, path: keys.json}], defaultMode: 0440}
{{- end }}
{{- end }}
{{- with $root.Values.auth.jwt.keysSecret }}
- name: jwks
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with $root.Values.configs }}
{{- if .existingConfigMap }}
- name: configs
  configMap:
    name: {{ .existingConfigMap }}
    {{- with .items }}
    items: {{- toYaml . | nindent 6 }}
    {{- end }}
{{- else if .existingClaim }}
- name: configs
  persistentVolumeClaim: {claimName: {{ .existingClaim }}, readOnly: true}
{{- else if .bundle.url }}
- name: configs
  emptyDir: {sizeLimit: 256Mi}
{{- end }}
{{- if .files }}
- name: config-files
  configMap: {name: {{ include "swath.fullname" $root }}-configs}
{{- end }}
{{- end }}
{{- if and (eq .part "training") (eq $root.Values.training.launcher "kubernetes") }}
- name: worker
  configMap: {name: {{ include "swath.fullname" $root }}-worker}
{{- end }}
{{- if and (eq .part "apps") (eq $root.Values.apps.launcher "kubernetes") }}
- name: replica
  configMap: {name: {{ include "swath.fullname" $root }}-replica}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where they are mounted. Takes {root, part, values}. */}}
{{- define "swath.mounts" -}}
{{- include "swath.merged" (dict "own" (include "swath.ownMounts" . | fromYamlArray) "extra" .values.extraVolumeMounts "key" "mountPath") -}}
{{- end -}}

{{/* Where the chart's own are. Takes {root, part, values}. */}}
{{- define "swath.ownMounts" -}}
{{- $root := .root -}}
{{- $ownConfigs := include "swath.ownConfigs" $root | empty | not -}}
- {name: tmp, mountPath: /tmp}
{{- if ne .part "gateway" }}
- {name: state, mountPath: /var/lib/swath}
{{- end }}
{{- if not (has .part (list "gateway" "standalone")) }}
- {name: cache, mountPath: /var/cache/swath}
{{- end }}
{{- if eq .values.image "torch" }}
- {name: shm, mountPath: /dev/shm}
{{- end }}
{{- if include "swath.tls" $root }}
- {name: tls, mountPath: /etc/swath/tls, readOnly: true}
{{- end }}
{{- if eq .part "gateway" }}
{{- with $root.Values.gateway.tls }}
{{- if and .enabled .secretName }}
- {name: public-tls, mountPath: /etc/swath/public-tls, readOnly: true}
{{- end }}
{{- if and .enabled .clientCertificates .clientCaSecret }}
- {name: client-ca, mountPath: /etc/swath/client-ca, readOnly: true}
{{- end }}
{{- end }}
{{- else }}
{{- if include "swath.tokensSecret" $root }}
- {name: auth, mountPath: /etc/swath/auth, readOnly: true}
{{- end }}
{{- if has .part (list "inference" "standalone") }}
{{- if $root.Values.auth.usersSecret }}
- {name: users, mountPath: /etc/swath/users, readOnly: true}
{{- end }}
{{- if include "swath.signingSecret" $root }}
- {name: signing, mountPath: /etc/swath/signing, readOnly: true}
{{- end }}
{{- end }}
{{- if $root.Values.auth.jwt.keysSecret }}
- {name: jwks, mountPath: /etc/swath/jwks, readOnly: true}
{{- end }}
{{- if $ownConfigs }}
- {name: configs, mountPath: /etc/swath/configs, readOnly: true}
{{- end }}
{{- range $path, $_ := $root.Values.configs.files }}
- {name: config-files, mountPath: {{ $ownConfigs | ternary "/etc/swath/configs" "/opt/swath/configs" }}/{{ $path }}, subPath: {{ include "swath.key" $path }}, readOnly: true}
{{- end }}
{{- if and (eq .part "training") (eq $root.Values.training.launcher "kubernetes") }}
- {name: worker, mountPath: /etc/swath/worker, readOnly: true}
{{- end }}
{{- if and (eq .part "apps") (eq $root.Values.apps.launcher "kubernetes") }}
- {name: replica, mountPath: /etc/swath/replica, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}

{{/* Requests and limits, GPUs among them. Takes {values}. */}}
{{- define "swath.resources" -}}
{{- $resources := deepCopy (.values.resources | default dict) -}}
{{- with .values.gpu -}}
{{- if .count -}}
{{- $gpus := dict .resourceName (int .count) -}}
{{- $_ := set $resources "limits" (mergeOverwrite (dig "limits" dict $resources) $gpus) -}}
{{- $_ := set $resources "requests" (mergeOverwrite (dig "requests" dict $resources) $gpus) -}}
{{- end -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{/* Ports of a process's container. Takes the process. */}}
{{- define "swath.containerPorts" -}}
{{- $ports := .ports -}}
{{- range $name := list "grpc" "probe" "health" "metrics" -}}
{{- with index $ports $name }}
- {name: {{ $name }}, containerPort: {{ . }}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Probes of a service's health-only port. Takes {probes, port, health}. */}}
{{- define "swath.grpcProbes" -}}
{{- range $name, $times := dict "startupProbe" .probes.startup "readinessProbe" .probes.readiness "livenessProbe" .probes.liveness }}
{{ $name }}:
  grpc: {port: {{ $.port }}, service: {{ $.health }}}
  timeoutSeconds: {{ $.probes.timeoutSeconds }}
  {{- toYaml $times | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where pods go. Takes {root, part, values}. */}}
{{- define "swath.placement" -}}
{{- $values := .values -}}
{{- $gpus := dig "gpu" "count" 0 $values | int | ne 0 -}}
{{- with mergeOverwrite (deepCopy $values.nodeSelector) ($gpus | ternary (deepCopy (dig "gpu" "nodeSelector" dict $values)) dict) }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat $values.tolerations ($gpus | ternary (dig "gpu" "tolerations" list $values) list) }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if and $gpus $values.gpu.runtimeClassName }}
runtimeClassName: {{ $values.gpu.runtimeClassName }}
{{- end }}
{{- if kindIs "invalid" $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "swath.selector" (dict "root" $.root "component" $.part) | nindent 8 }}
    # Pods of one release of the Deployment: old ones go anyway.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- else if $values.topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml $values.topologySpreadConstraints | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Seconds between the end's beginning and SIGKILL. Takes {root, part, values}. */}}
{{- define "swath.terminationGrace" -}}
{{- $drain := .values.drain -}}
{{- $runs := has .part (list "training" "standalone") | ternary .root.Values.training.drainSeconds 0 -}}
{{- add (ceil ($drain.preStopSeconds | default 0) | int) (ceil $drain.lagSeconds | int) (ceil $drain.graceSeconds | int) (ceil $runs | int) 15 -}}
{{- end -}}

{{/* Container that unpacks an archive of configs. Takes {root, part, values}. */}}
{{- define "swath.bundle" -}}
{{- $root := .root -}}
{{- $image := index $root.Values.images .values.image -}}
- name: configs
  image: {{ include "swath.image" (dict "root" $root "image" $image) }}
  imagePullPolicy: {{ $image.pullPolicy }}
  command: [python, -m, swath.storage.bundle, {{ $root.Values.configs.bundle.url | quote }}, --sha256, {{ $root.Values.configs.bundle.sha256 | quote }}, --into, /etc/swath/configs]
  securityContext: {{- include "swath.containerSecurity" $root | nindent 4 }}
  env: {{- include "swath.env" . | nindent 4 }}
  resources:
    requests: {cpu: 20m, memory: 64Mi}
    limits: {cpu: "1", memory: 256Mi}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    - {name: configs, mountPath: /etc/swath/configs}
{{- end -}}

{{/* A StatefulSet's one claim. Takes {root, component, name, storage}. */}}
{{- define "swath.claim" -}}
persistentVolumeClaimRetentionPolicy: {whenDeleted: {{ .storage.whenDeleted }}, whenScaled: Retain}
volumeClaimTemplates:
  - apiVersion: v1
    kind: PersistentVolumeClaim
    metadata:
      name: {{ .name }}
      labels:
        {{- include "swath.selector" . | nindent 8 }}
    spec:
      accessModes: [ReadWriteOnce]
      {{- with .storage.className }}
      storageClassName: {{ . }}
      {{- end }}
      resources:
        requests: {storage: {{ .storage.size }}}
{{- end -}}
