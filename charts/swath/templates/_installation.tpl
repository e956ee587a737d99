{{/* What makes the Secrets of an installation, before pods start and before each upgrade. */}}

{{/* Names of the Secrets that the Job may read and change, as a list. */}}
{{- define "swath.ownSecrets" -}}
{{- $fullname := include "swath.fullname" . -}}
{{- $names := list (printf "%s-ca" $fullname) (printf "%s-admin" $fullname) (printf "%s-signing" $fullname) (printf "%s-postgres" $fullname) (printf "%s-s3" $fullname) -}}
{{- range (include "swath.registry" . | fromJson).identities -}}
{{- $names = append $names (printf "%s-%s-tls" $fullname .) -}}
{{- end -}}
{{- toYaml $names -}}
{{- end -}}

{{/* Arguments after the command. */}}
{{- define "swath.installationArguments" -}}
- --prefix={{ include "swath.fullname" . }}
- --labels={{ include "swath.podLabels" (dict "root" . "component" "secrets") | fromYaml | toJson }}
{{- if eq .Values.tls.mode "generated" }}
{{- range $part := splitList " " (include "swath.certified" .) }}
{{- $public := has $part (list "gateway" "standalone") }}
- --certificate={{ $part }}{{ if $public }}={{ include "swath.publicNames" $ }}{{ end }}
{{- end }}
- --days={{ .Values.tls.generated.days }}
- --ca-days={{ .Values.tls.generated.caDays }}
- --ca-generation={{ .Values.tls.generated.caGeneration }}
- --settle-seconds={{ .Values.tls.generated.settleSeconds }}
{{- end }}
{{- if include "swath.ownSigning" . }}
- --signing
{{- end }}
{{- end -}}

{{/* A pod that runs the command. Takes {root, component, command, account, arguments}. */}}
{{- define "swath.installationPod" -}}
{{- $image := .root.Values.mode | eq "standalone" | ternary .root.Values.images.torch .root.Values.images.core -}}
{{- $jobs := .root.Values.jobs -}}
metadata:
  labels:
    {{- include "swath.podLabels" (dict "root" .root "component" .component "extra" $jobs.podLabels) | nindent 4 }}
  {{- with $jobs.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  restartPolicy: Never
  {{- include "swath.podBase" (dict "root" .root "user" .root.Values.runAsUser) | nindent 2 }}
  {{- include "swath.placement" (dict "root" .root "part" .component "values" (include "swath.inherited" (dict "root" .root "values" $jobs) | fromYaml)) | nindent 2 }}
  serviceAccountName: {{ .account }}
  automountServiceAccountToken: true
  containers:
    - name: installation
      image: {{ include "swath.image" (dict "root" .root "image" $image) }}
      imagePullPolicy: {{ $image.pullPolicy }}
      command:
        - python
        - -m
        - swath.runtime.installation
        - {{ .command }}
        {{- .arguments | nindent 8 }}
      securityContext: {{- include "swath.containerSecurity" .root | nindent 8 }}
      env:
        - {name: TMPDIR, value: /tmp}
        - {name: HOME, value: /tmp}
      resources: {{- toYaml $jobs.resources | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
  volumes:
    - name: tmp
      # Private keys on their way into Secrets touch no disk.
      emptyDir: {medium: Memory, sizeLimit: 16Mi}
{{- end -}}
