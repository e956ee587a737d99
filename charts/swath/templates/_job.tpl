{{/* The Job of a run as the training service starts it: it completes the name, and adds what the run is and asks for. */}}
{{- define "swath.job" -}}
{{- $workers := .Values.training.workers -}}
{{- $values := include "swath.part" (dict "root" . "part" "training") | fromYaml -}}
{{- $scope := dict "root" . "component" "worker" "part" "worker" "user" .Values.runAsUser -}}
{{- $image := mergeOverwrite (deepCopy .Values.images.torch) $workers.image -}}
apiVersion: batch/v1
kind: Job
metadata:
  # Beginning of the names of Jobs.
  name: {{ include "swath.fullname" . }}-run
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "swath.podLabels" $scope | nindent 4 }}
    {{- with $workers.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
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
        {{- with $workers.labels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $workers.podAnnotations }}
      annotations: {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      restartPolicy: Never
      {{- include "swath.podBase" $scope | nindent 6 }}
      serviceAccountName: {{ include "swath.fullname" . }}-worker
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: {{ add (ceil .Values.training.drainSeconds | int) 15 }}
      {{- with $workers.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $workers.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $workers.affinity }}
      affinity: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $workers.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
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
          resources: {{- include "swath.resources" (dict "values" $workers) | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            - {name: state, mountPath: /var/lib/swath}
            - {name: cache, mountPath: /var/cache/swath}
            - {name: shm, mountPath: /dev/shm}
            {{- if include "swath.tls" . }}
            - {name: tls, mountPath: /etc/swath/tls, readOnly: true}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: {{ $values.tmpSize }}}
        - name: state
          emptyDir: {sizeLimit: {{ $values.stateSize }}}
        - name: cache
          emptyDir: {sizeLimit: {{ $values.cache.size }}}
        - name: shm
          emptyDir: {medium: Memory, sizeLimit: {{ $workers.shmSize }}}
        {{- if include "swath.tls" . }}
        - name: tls
          secret: {secretName: {{ include "swath.tlsSecret" (dict "root" . "part" "worker") }}, defaultMode: 0440}
        {{- end }}
{{- end -}}

{{/* Variables of a worker: it reaches the object store and the training service, nothing else. */}}
{{- define "swath.workerEnv" -}}
{{- $values := include "swath.part" (dict "root" . "part" "training") | fromYaml -}}
{{- $_ := set $values "threads" .Values.training.workers.threads -}}
{{- $env := include "swath.env" (dict "root" . "part" "worker" "values" $values) | fromYamlArray -}}
{{- $kept := list -}}
{{- range $env -}}
{{- if regexMatch "^(SWATH_(S3_|TLS_|LOG_|OTLP_|CACHE|STATE|CONFIGS|ARTIFACTS_URL|WORKSPACE_URL|TRAINING_ADDRESS)|TMPDIR|HOME|OMP_)" .name -}}
{{- $kept = append $kept . -}}
{{- end -}}
{{- end -}}
{{- toYaml $kept -}}
{{- end -}}
