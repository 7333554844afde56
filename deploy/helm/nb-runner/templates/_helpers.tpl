{{- define "labels" -}}
app.kubernetes.io/name: nb-runner
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* For all of them: who they are not, and what they cannot become. */}}
{{- define "pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false {{- /* a cell would see the addresses of all services */}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets: {{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- /* A number, the user. */}}
{{- define "user" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "locked" -}}
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
{{- end }}

{{- define "settings" -}}
- name: REDIS_URL
  valueFrom: {secretKeyRef: {name: {{ .Values.secret }}, key: redis-url}}
- name: NOTEBOOK_PATH
  value: {{ printf "/notebooks/%s" .Values.notebook.name | quote }}
- name: ARTIFACTS_DIR
  value: /artifacts
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | toJson | trimAll "\"" | quote }} {{- /* toString makes 5e+07 of 50000000 */}}
{{- end }}
{{- end }}

{{- define "mounts" -}}
- {name: artifacts, mountPath: /artifacts}
- {name: tmp, mountPath: /tmp}
{{- if .Values.notebook.configMap }}
- {name: notebook, mountPath: /notebooks, readOnly: true}
{{- end }}
{{- end }}

{{- define "volumes" -}}
- name: artifacts
  persistentVolumeClaim:
    claimName: {{ .Values.artifacts.existingClaim | default (printf "%s-artifacts" .Release.Name) }}
{{- if .Values.notebook.configMap }}
- name: notebook
  configMap: {name: {{ .Values.notebook.configMap }}}
{{- end }}
{{- end }}

{{- /* A volume for one node, and several pods that mount it: they go where the first of them is. */}}
{{- define "together" -}}
{{- if eq .Values.artifacts.accessMode "ReadWriteOnce" }}
affinity:
  podAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {app.kubernetes.io/instance: {{ .Release.Name }}, nb-runner/artifacts: shared}
{{- end }}
{{- end }}
