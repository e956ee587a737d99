{{/* Names and labels. */}}

{{- define "swath.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* First part of the names of objects: short enough for what comes after it. Of a longer name its digest is kept, since
     two releases may begin alike. */}}
{{- define "swath.fullname" -}}
{{- $name := .Release.Name -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if not (contains (include "swath.name" .) .Release.Name) -}}
{{- $name = printf "%s-%s" .Release.Name (include "swath.name" .) -}}
{{- end -}}
{{- if gt (len $name) 40 -}}
{{- $name = printf "%s-%s" ($name | trunc 31 | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- $name | trimSuffix "-" -}}
{{- end -}}

{{/* Labels that objects are selected by. Takes {root, component}. */}}
{{- define "swath.selector" -}}
app.kubernetes.io/name: {{ include "swath.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of pods: nothing that changes with a release, so that they are not replaced for it. What objects are selected
     by cannot be said otherwise. Takes {root, component, extra}. */}}
{{- define "swath.podLabels" -}}
{{- $own := dict "app.kubernetes.io/part-of" "swath" -}}
{{- toYaml (mergeOverwrite $own (deepCopy .root.Values.commonLabels) (deepCopy (.extra | default dict)) (include "swath.selector" . | fromYaml)) -}}
{{- end -}}

{{/* All labels of an object. Takes {root, component, extra}. */}}
{{- define "swath.labels" -}}
{{- $own := dict
  "app.kubernetes.io/version" .root.Chart.AppVersion
  "app.kubernetes.io/managed-by" .root.Release.Service
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_")
-}}
{{- toYaml (mergeOverwrite $own (include "swath.podLabels" . | fromYaml)) -}}
{{- end -}}

{{/* The services and other processes, generated from the registry in libs/api: names in order, and each by its name. */}}
{{- define "swath.registry" -}}
{{ .Files.Get "files/services.json" }}
{{- end -}}

{{/* Names of the services, with spaces between. */}}
{{- define "swath.services" -}}
{{ (include "swath.registry" . | fromJson).services | join " " }}
{{- end -}}

{{/* What the registry has of a process: its ports, whom it calls and, of a service, health, database, queue and routes.
     Takes {root, part}. */}}
{{- define "swath.process" -}}
{{ index (include "swath.registry" .root | fromJson).processes .part | toJson }}
{{- end -}}

{{/* Names of the services that own tables, with spaces between. */}}
{{- define "swath.withDatabase" -}}
{{- $registry := include "swath.registry" . | fromJson -}}
{{- $names := list -}}
{{- range $registry.services }}{{ if (index $registry.processes .).database }}{{ $names = append $names . }}{{ end }}{{ end -}}
{{ join " " $names }}
{{- end -}}

{{/* What has pods: services, and the chart's own gateway. */}}
{{- define "swath.parts" -}}
{{- if eq .Values.mode "suite" -}}
{{ include "swath.services" . }}{{ if eq .Values.gateway.mode "envoy" }} gateway{{ end }}
{{- end -}}
{{- end -}}

{{/* Values of a part, with the defaults where it says nothing. Takes {root, part}. */}}
{{- define "swath.part" -}}
{{- $own := dict -}}
{{- if eq .part "gateway" -}}
{{- $own = omit .root.Values.gateway "mode" "service" "tls" "corsOrigins" "byModel" "gatewayAPI" "networkPolicy" -}}
{{- else if eq .part "standalone" -}}
{{- $own = omit .root.Values.standalone "storage" "clientCertificates" -}}
{{- else -}}
{{- $own = index .root.Values.services .part -}}
{{- end -}}
{{- mergeOverwrite (deepCopy .root.Values.defaults) (deepCopy $own) | toYaml -}}
{{- end -}}

{{/* Where pods that are no part of `defaults` go: what their own values leave empty is as `defaults` has it.
     Takes {root, values}. */}}
{{- define "swath.inherited" -}}
{{- $found := dict "topologySpreadConstraints" list -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" -}}
{{- $_ := set $found $key (index $.values $key | default (index $.root.Values.defaults $key)) -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}

{{/* One list of what is ours and what is asked for besides, which takes the place of ours under the same key.
     Takes {own, extra, key}. */}}
{{- define "swath.merged" -}}
{{- $extra := dict -}}
{{- range .extra }}{{ $_ := set $extra (index . $.key) . }}{{ end -}}
{{- $items := list -}}
{{- $seen := dict -}}
{{- range concat .own (.extra | default list) -}}
{{- $name := index . $.key -}}
{{- if not (hasKey $seen $name) -}}
{{- $items = append $items (get $extra $name | default .) -}}
{{- $_ := set $seen $name true -}}
{{- end -}}
{{- end -}}
{{- toYaml $items -}}
{{- end -}}

{{/* An image. Takes {root, image}. */}}
{{- define "swath.image" -}}
{{- $name := .image.repository -}}
{{- with .root.Values.images.registry -}}{{- $name = printf "%s/%s" (trimSuffix "/" .) $name -}}{{- end -}}
{{- if .image.digest -}}
{{ $name }}@{{ .image.digest }}
{{- else -}}
{{ $name }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Whether pods have certificates. */}}
{{- define "swath.tls" -}}
{{- if ne .Values.tls.mode "disabled" }}true{{ end -}}
{{- end -}}

{{/* Whether the public port is encrypted. */}}
{{- define "swath.publicTls" -}}
{{- if eq .Values.mode "standalone" -}}
{{ include "swath.tls" . }}
{{- else if and .Values.gateway.tls.enabled (or .Values.gateway.tls.secretName (include "swath.tls" .)) -}}
true
{{- end -}}
{{- end -}}

{{/* The Secret with a part's certificate. Takes {root, part}. */}}
{{- define "swath.tlsSecret" -}}
{{- $given := "" -}}
{{- if eq .root.Values.tls.mode "existingSecret" -}}{{- $given = index .root.Values.tls.existingSecrets .part -}}{{- end -}}
{{- $given | default (printf "%s-%s-tls" (include "swath.fullname" .root) .part) -}}
{{- end -}}

{{/* The Secret whose tokens.json servers read, empty for none. */}}
{{- define "swath.tokensSecret" -}}
{{- if .Values.auth.tokensSecret -}}
{{ .Values.auth.tokensSecret }}
{{- else if and .Values.auth.admin.enabled (eq .Values.auth.mode "required") -}}
{{ include "swath.fullname" . }}-admin
{{- end -}}
{{- end -}}

{{/* The Secret with the keys that replicas of inference sign tokens with, empty for none. */}}
{{- define "swath.signingSecret" -}}
{{- if .Values.auth.signingKeysSecret -}}
{{ .Values.auth.signingKeysSecret }}
{{- else if and (eq .Values.mode "suite") (include "swath.provisioned" .) -}}
{{ include "swath.fullname" . }}-signing
{{- end -}}
{{- end -}}

{{/* Whether the chart makes it itself. */}}
{{- define "swath.ownSigning" -}}
{{- if and (include "swath.signingSecret" .) (not .Values.auth.signingKeysSecret) }}true{{ end -}}
{{- end -}}

{{- define "swath.postgresSecret" -}}
{{- .Values.postgres.enabled | ternary (printf "%s-postgres" (include "swath.fullname" .)) .Values.postgres.existingSecret -}}
{{- end -}}

{{- define "swath.s3Secret" -}}
{{- .Values.s3.enabled | ternary (printf "%s-s3" (include "swath.fullname" .)) .Values.s3.existingSecret -}}
{{- end -}}

{{/* A part's service account. Takes {root, part}. */}}
{{- define "swath.account" -}}
{{- $part := include "swath.part" . | fromYaml -}}
{{- $part.serviceAccount.name | default (printf "%s-%s" (include "swath.fullname" .root) .part) -}}
{{- end -}}

{{/* A DNS name of a Service within the cluster. Takes {root, service}. */}}
{{- define "swath.host" -}}
{{ .service }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}
{{- end -}}

{{/* Names that clients may call the public Service by, with commas between; in its certificate. */}}
{{- define "swath.publicNames" -}}
{{- $service := include "swath.fullname" . -}}
{{- $names := list $service (printf "%s.%s" $service .Release.Namespace) (printf "%s.%s.svc" $service .Release.Namespace) (include "swath.host" (dict "root" . "service" $service)) -}}
{{- join "," (concat $names .Values.tls.publicNames) -}}
{{- end -}}

{{/* Whether the chart's own Secrets are needed, that a Job makes. */}}
{{- define "swath.provisioned" -}}
{{- $admin := and (eq .Values.auth.mode "required") .Values.auth.admin.enabled (not .Values.auth.tokensSecret) -}}
{{- $stores := and (eq .Values.mode "suite") (or .Values.postgres.enabled .Values.s3.enabled) -}}
{{- if or (eq .Values.tls.mode "generated") $admin $stores }}true{{ end -}}
{{- end -}}

{{/* Parts that get a certificate. */}}
{{- define "swath.certified" -}}
{{- if eq .Values.mode "standalone" -}}
standalone
{{- else -}}
{{ include "swath.services" . }} gateway{{ if eq .Values.training.launcher "kubernetes" }} worker{{ end }}{{ if eq .Values.apps.launcher "kubernetes" }} replica{{ end }}
{{- end -}}
{{- end -}}
