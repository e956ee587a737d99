{{/* The Deployment of an application's replicas as the apps service makes it: it completes the name, and adds code, numbers
     and what the deployment asks for. */}}
{{- define "swath.replica" -}}
{{- $replicas := .Values.apps.replicas -}}
{{- $values := include "swath.part" (dict "root" . "part" "apps") | fromYaml -}}
{{- $scope := dict "root" . "component" "replica" "part" "replica" "user" .Values.runAsUser "extra" $replicas.labels -}}
{{- $own := index .Values.images $values.image -}}
{{- $image := mergeOverwrite (deepCopy $own) $replicas.image -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  # Beginning of the names of Deployments.
  name: {{ include "swath.fullname" . }}-app
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "swath.podLabels" $scope | nindent 4 }}
spec:
  revisionHistoryLimit: 1
  template:
    metadata:
      labels:
        {{- include "swath.podLabels" $scope | nindent 8 }}
      annotations: {{- mergeOverwrite (deepCopy $replicas.podAnnotations) (dict "kubectl.kubernetes.io/default-container" "replica") | toYaml | nindent 8 }}
    spec:
      {{- include "swath.podBase" $scope | nindent 6 }}
      serviceAccountName: {{ include "swath.fullname" . }}-replica
      automountServiceAccountToken: false
      {{- include "swath.placement" (dict "root" . "part" "replica" "values" (include "swath.inherited" (dict "root" . "values" $replicas) | fromYaml)) | nindent 6 }}
      initContainers:
        # Code comes from the object store, which users' code itself has no key for.
        - name: code
          image: {{ include "swath.image" (dict "root" . "image" $own) }}
          imagePullPolicy: {{ $own.pullPolicy }}
          command: [python, -m, swath_apps.running.fetch, /code]
          securityContext: {{- include "swath.containerSecurity" . | nindent 12 }}
          env: {{- include "swath.replicaCodeEnv" . | nindent 12 }}
          resources:
            requests: {cpu: 20m, memory: 128Mi}
            limits: {cpu: "1", memory: 512Mi}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            - {name: code, mountPath: /code}
      containers:
        - name: replica
          image: {{ include "swath.image" (dict "root" . "image" $image) }}
          imagePullPolicy: {{ $image.pullPolicy }}
          command: [python, -m, swath.serve.replica.pod]
          securityContext: {{- include "swath.containerSecurity" . | nindent 12 }}
          ports:
            - {name: frames, containerPort: 7081}
          env: {{- include "swath.merged" (dict "own" (include "swath.replicaEnv" . | fromYamlArray) "extra" $replicas.extraEnv "key" "name") | nindent 12 }}
          # Open once the constructor has returned.
          readinessProbe:
            tcpSocket: {port: 7082}
            periodSeconds: 1
          resources: {{- toYaml $replicas.resources | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            - {name: shm, mountPath: /dev/shm}
            - {name: code, mountPath: /code, readOnly: true}
            {{- if include "swath.tls" . }}
            - {name: tls, mountPath: /etc/swath/tls, readOnly: true}
            {{- end }}
            {{- with $replicas.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: {{ $values.tmpSize }}}
        - name: shm
          emptyDir: {medium: Memory, sizeLimit: {{ $replicas.shmSize }}}
        - name: code
          emptyDir: {sizeLimit: 1Gi}
        {{- if include "swath.tls" . }}
        - name: tls
          secret: {secretName: {{ include "swath.tlsSecret" (dict "root" . "part" "replica") }}, defaultMode: 0440}
        {{- end }}
        {{- with $replicas.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}

{{/* Variables of what fetches code: those by which it reaches the object store. */}}
{{- define "swath.replicaCodeEnv" -}}
{{- $values := include "swath.part" (dict "root" . "part" "apps") | fromYaml -}}
{{- $kept := list -}}
{{- range include "swath.ownEnv" (dict "root" . "part" "replica" "values" $values) | fromYamlArray -}}
{{- if regexMatch "^(SWATH_(S3_|LOG_|ARTIFACTS_URL)|TMPDIR|HOME)" .name -}}
{{- $kept = append $kept . -}}
{{- end -}}
{{- end -}}
{{- toYaml (append $kept (dict "name" "SWATH_STATE" "value" "/tmp/state")) -}}
{{- end -}}

{{/* Variables of users' code: no settings of the suite are among them. */}}
{{- define "swath.replicaEnv" -}}
- {name: TMPDIR, value: /tmp}
- {name: HOME, value: /tmp}
- {name: PYTHONDONTWRITEBYTECODE, value: "1"}
- {name: SWATH_REPLICA_PORT, value: "7081"}
- {name: SWATH_REPLICA_READY_PORT, value: "7082"}
{{- if include "swath.tls" . }}
- {name: SWATH_REPLICA_TLS_CERT, value: /etc/swath/tls/tls.crt}
- {name: SWATH_REPLICA_TLS_KEY, value: /etc/swath/tls/tls.key}
- {name: SWATH_REPLICA_TLS_CA, value: /etc/swath/tls/ca.crt}
{{- end }}
{{- include "swath.threads" (dict "name" "OMP_NUM_THREADS" "threads" .Values.apps.replicas.threads) }}
{{- end -}}
