{{/* The Job of a run as the training service starts it: it completes the name, and adds what the run is and asks for. */}}
{{- define "swath.job" -}}
{{- $workers := .Values.training.workers -}}
{{- $values := include "swath.part" (dict "root" . "part" "training") | fromYaml -}}
{{- $scope := dict "root" . "component" "worker" "part" "worker" "user" .Values.runAsUser "extra" $workers.labels -}}
{{- $image := mergeOverwrite (deepCopy .Values.images.torch) $workers.image -}}
apiVersion: batch/v1
kind: Job
metadata:
  # Beginning of the names of Jobs.
  name: {{ include "swath.fullname" . }}-run
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "swath.podLabels" $scope | nindent 4 }}
spec:
  # Runs resume from their own checkpoints; a Job that starts pods again by itself would not know of them.
  backoffLimit: 0
  ttlSecondsAfterFinished: {{ $workers.ttlSeconds }}
  {{- with $workers.deadlineSeconds }}
  activeDeadlineSeconds: {{ . }}
  {{- end }}
  template:
    metadata:
      labels:
        {{- include "swath.podLabels" $scope | nindent 8 }}
      {{- with $workers.podAnnotations }}
      annotations: {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      restartPolicy: Never
      {{- include "swath.podBase" $scope | nindent 6 }}
      serviceAccountName: {{ include "swath.fullname" . }}-worker
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: {{ add (ceil .Values.training.drainSeconds | int) 15 }}
      {{- include "swath.placement" (dict "root" . "part" "worker" "values" (include "swath.inherited" (dict "root" . "values" $workers) | fromYaml)) | nindent 6 }}
      {{- if and $workers.gpu.count $workers.gpu.runtimeClassName }}
      runtimeClassName: {{ $workers.gpu.runtimeClassName }}
      {{- end }}
      containers:
        - name: worker
          image: {{ include "swath.image" (dict "root" . "image" $image) }}
          imagePullPolicy: {{ $image.pullPolicy }}
          command: [python, -m, swath_training.worker]
          securityContext: {{- include "swath.containerSecurity" . | nindent 12 }}
          env: {{- include "swath.workerEnv" . | nindent 12 }}
          {{- with concat $values.extraEnvFrom $workers.extraEnvFrom }}
          envFrom: {{- toYaml . | nindent 12 }}
          {{- end }}
          resources: {{- include "swath.resources" (dict "values" $workers) | nindent 12 }}
          {{- $extra := concat $values.extraVolumeMounts $workers.extraVolumeMounts }}
          volumeMounts: {{- include "swath.merged" (dict "own" (include "swath.workerMounts" . | fromYamlArray) "extra" $extra "key" "mountPath") | nindent 12 }}
      {{- $extra := concat $values.extraVolumes $workers.extraVolumes }}
      volumes: {{- include "swath.merged" (dict "own" (include "swath.workerVolumes" (dict "root" . "values" $values) | fromYamlArray) "extra" $extra "key" "name") | nindent 8 }}
{{- end -}}

{{/* Volumes of a worker that the chart itself has. Takes {root, values} with the values of the training service. */}}
{{- define "swath.workerVolumes" -}}
- name: tmp
  emptyDir: {sizeLimit: {{ .values.tmpSize }}}
- name: state
  emptyDir: {sizeLimit: {{ .values.stateSize }}}
- name: cache
  emptyDir: {sizeLimit: {{ .values.cache.size }}}
- name: shm
  emptyDir: {medium: Memory, sizeLimit: {{ .root.Values.training.workers.shmSize }}}
{{- if include "swath.tls" .root }}
- name: tls
  secret: {secretName: {{ include "swath.tlsSecret" (dict "root" .root "part" "worker") }}, defaultMode: 0440}
{{- end }}
{{- end -}}

{{/* Where they are mounted. */}}
{{- define "swath.workerMounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: state, mountPath: /var/lib/swath}
- {name: cache, mountPath: /var/cache/swath}
- {name: shm, mountPath: /dev/shm}
{{- if include "swath.tls" . }}
- {name: tls, mountPath: /etc/swath/tls, readOnly: true}
{{- end }}
{{- end -}}

{{/* Variables of a worker: of the chart's own those by which it reaches the object store and the training service, nothing
     else; and all that was asked for, for every service, for the training service and for workers. */}}
{{- define "swath.workerEnv" -}}
{{- $workers := .Values.training.workers -}}
{{- $values := include "swath.part" (dict "root" . "part" "training") | fromYaml -}}
{{- $_ := set $values "threads" $workers.threads -}}
{{- $_ := set $values "settings" (mergeOverwrite (deepCopy $values.settings) (deepCopy $workers.settings)) -}}
{{- $asked := keys .Values.settings $values.settings -}}
{{- $env := include "swath.ownEnv" (dict "root" . "part" "worker" "values" $values) | fromYamlArray -}}
{{- $kept := list -}}
{{- range $env -}}
{{- if or (has .name $asked) (regexMatch "^(SWATH_(S3_|TLS_|LOG_|OTLP_|CACHE|STATE|CONFIGS|ARTIFACTS_URL|WORKSPACE_URL|TRAINING_ADDRESS)|TMPDIR|HOME|OMP_)" .name) -}}
{{- $kept = append $kept . -}}
{{- end -}}
{{- end -}}
{{- include "swath.merged" (dict "own" $kept "extra" (concat $values.extraEnv $workers.extraEnv) "key" "name") -}}
{{- end -}}
