{{/* Rules of egress. */}}

{{- define "swath.egressDns" -}}
- ports:
    {{- range .Values.networkPolicy.dnsPorts }}
    - {port: {{ . }}, protocol: UDP}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end -}}

{{- define "swath.egressApi" -}}
- ports:
    {{- range .Values.networkPolicy.apiServerPorts }}
    - {port: {{ . }}}
    {{- end }}
{{- end -}}

{{/* Ports that the processes of a run use among one another. */}}
{{- define "swath.workerPorts" -}}
{{- with .Values.training.workers.ports -}}
{{- if .last -}}
ports: [{port: {{ .first }}, endPort: {{ .last }}}]
{{- end -}}
{{- end -}}
{{- end -}}

{{/* To pods of a component. Takes {root, component, port}; without a port to all of theirs. */}}
{{- define "swath.egressTo" -}}
- to:
    - podSelector:
        matchLabels:
          {{- include "swath.selector" . | nindent 10 }}
  {{- with .port }}
  ports: [{port: {{ . }}}]
  {{- end }}
{{- end -}}

{{/* IP families of a Service; nothing leaves them to the cluster. */}}
{{- define "swath.ipFamilies" -}}
{{- with .Values.ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.ipFamilies }}
ipFamilies: {{ toJson . }}
{{- end }}
{{- end -}}
