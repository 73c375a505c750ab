{{/* Name of the chart's objects; cluster-scoped ones carry it too, so it holds the release. */}}
{{- define "dgdr-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Who owns NVIDIA's kinds; values files of before write "standalone". */}}
{{- define "dgdr-operator.mode" -}}
{{- title .Values.mode -}}
{{- end -}}

{{/* Whether our webhooks run: NVIDIA's kinds have NVIDIA's. */}}
{{- define "dgdr-operator.admits" -}}
{{- if and .Values.admission.enabled (eq (include "dgdr-operator.mode" .) "Standalone") }}true{{ end -}}
{{- end -}}

{{/* Group of the requests that we serve. */}}
{{- define "dgdr-operator.requestGroup" -}}
{{- ternary "dgdr.dev" "nvidia.com" (eq .Values.mode "Beside") -}}
{{- end -}}

{{- define "dgdr-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: dgdr-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{/* Labels that select the pods of one of the programs; never change them in an upgrade. */}}
{{- define "dgdr-operator.selector" -}}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/name: {{ include "dgdr-operator.fullname" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Name of one program's Deployment and ServiceAccount. */}}
{{- define "dgdr-operator.program" -}}
{{- include "dgdr-operator.fullname" .root -}}
{{- if ne .component "operator" }}-{{ .component }}{{ end -}}
{{- end -}}

{{/*
Reference of an image; empty when there is none and it is not needed. A registry of all charts takes
the place of the one in the reference: what stands before the first slash, when it has a dot or a
colon, or is localhost.
*/}}
{{- define "dgdr-operator.image" -}}
{{- $registry := (.root.Values.global | default dict).imageRegistry | default "" -}}
{{- $reference := index .root.Values.images .name | default "" -}}
{{- if and (not $reference) $registry -}}
{{- $reference = printf "dgdr/%s:%s" (kebabcase .name) .root.Chart.AppVersion -}}
{{- end -}}
{{- if and (not $reference) (ne .name "dynamoMocker") -}}
{{- fail (printf "images.%s is not set, and there is no public image: build and push it (docs/install.md, \"Images\"), then --set images.%s=REGISTRY/dgdr/%s:TAG, or --set global.imageRegistry=REGISTRY for all images" .name .name (kebabcase .name)) -}}
{{- end -}}
{{- if and $reference $registry -}}
{{- $reference = printf "%s/%s" $registry (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $reference "") -}}
{{- end -}}
{{- $reference -}}
{{- end -}}

{{/* ServiceAccount of one program. */}}
{{- define "dgdr-operator.account" -}}
{{- $values := index .root.Values .component -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "dgdr-operator.program" . }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "dgdr-operator.labels" .root | nindent 4 }}
  {{- with $values.serviceAccountAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/*
One program of ours. Of its pods one leads, by a Lease, and the others stand by; so a new one may
start before an old one ends, and the hand-over needs no gap.
*/}}
{{- define "dgdr-operator.deployment" -}}
{{- $values := index .root.Values .component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "dgdr-operator.program" . }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "dgdr-operator.labels" .root | nindent 4 }}
    {{- include "dgdr-operator.selector" . | nindent 4 }}
spec:
  replicas: {{ $values.replicas }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels:
      {{- include "dgdr-operator.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "dgdr-operator.labels" .root | nindent 8 }}
        {{- include "dgdr-operator.selector" . | nindent 8 }}
        {{- with $values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        # A changed setting replaces the pod.
        dgdr.dev/config-sha256: {{ include "dgdr-operator.config" .root | sha256sum }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "dgdr-operator.program" . }}
      {{- with .root.Values.images.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      {{- with $values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        {{- with .root.Values.security.runAsUser }}
        runAsUser: {{ int . }}
        runAsGroup: {{ int . }}
        {{- end }}
        seccompProfile: {type: RuntimeDefault}
      terminationGracePeriodSeconds: 30
      containers:
        - name: {{ .component }}
          image: {{ include "dgdr-operator.image" (dict "root" .root "name" "operator") }}
          imagePullPolicy: {{ .root.Values.images.pullPolicy }}
          command: [python3, -m, {{ printf "dgdr_%s" .component }}]
          env:
            # The name under which it is known: in its Lease, in Events.
            - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
            - {name: DGDR_LOG_LEVEL, value: {{ .root.Values.logLevel | default "INFO" }}}
            {{- with $values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          {{- with $values.extraEnvFrom }}
          envFrom:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          ports:
            - {name: health, containerPort: {{ .root.Values.health.port }}}
            {{- if eq .component "webhooks" }}
            - {name: webhooks, containerPort: {{ .root.Values.admission.port }}}
            {{- end }}
          # A slow node may need a minute for the imports; a pass that hangs shows in /healthz.
          startupProbe:
            httpGet: {path: /healthz, port: health}
            periodSeconds: 2
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /healthz, port: health}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: {path: /readyz, port: health}
            periodSeconds: 5
            timeoutSeconds: 5
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          volumeMounts:
            - {name: config, mountPath: /etc/dgdr, readOnly: true}
            - {name: tmp, mountPath: /tmp}
            {{- if and (eq .component "planner") .root.Values.prometheus.credentialsSecret }}
            - {name: prometheus, mountPath: /etc/dgdr-prometheus, readOnly: true}
            {{- end }}
      volumes:
        {{- if and (eq .component "planner") .root.Values.prometheus.credentialsSecret }}
        # Optional: without it planners say so in a condition, instead of not being there.
        - name: prometheus
          secret: {secretName: {{ .root.Values.prometheus.credentialsSecret }}, optional: true}
        {{- end }}
        - name: config
          configMap: {name: {{ include "dgdr-operator.fullname" .root }}}
        - name: tmp
          emptyDir: {}
      {{- with $values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      affinity:
        {{- with $values.affinity }}
        {{- toYaml . | nindent 8 }}
        {{- else }}
        # The end of one node should not end both.
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 100
              podAffinityTerm:
                topologyKey: kubernetes.io/hostname
                labelSelector:
                  matchLabels:
                    {{- include "dgdr-operator.selector" . | nindent 20 }}
        {{- end }}
      {{- with $values.topologySpreadConstraints }}
      topologySpreadConstraints:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end -}}

{{/*
What a program with several pods needs: the right to its Lease, in the release's namespace only,
and that a drain of nodes leaves one of them.
*/}}
{{- define "dgdr-operator.election" -}}
{{- $name := include "dgdr-operator.program" . -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}-lease
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "dgdr-operator.labels" .root | nindent 4 }}
rules:
  # Which of its pods leads. A right to create cannot be bound to a name.
  - apiGroups: [coordination.k8s.io]
    resources: [leases]
    verbs: [create]
  - apiGroups: [coordination.k8s.io]
    resources: [leases]
    resourceNames: [{{ $name }}]
    verbs: [get, patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}-lease
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "dgdr-operator.labels" .root | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ $name }}-lease}
subjects:
  - {kind: ServiceAccount, name: {{ $name }}, namespace: {{ .root.Release.Namespace }}}
{{- include "dgdr-operator.budget" . }}
{{- end -}}

{{/* A drain of nodes leaves one pod of a program. */}}
{{- define "dgdr-operator.budget" -}}
{{- $name := include "dgdr-operator.program" . -}}
{{- if gt (int (index .root.Values .component "replicas")) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "dgdr-operator.labels" .root | nindent 4 }}
spec:
  minAvailable: 1
  selector:
    matchLabels:
      {{- include "dgdr-operator.selector" . | nindent 6 }}
{{- end }}
{{- end -}}

{{/*
A release that owns the nvidia.com CRDs would leave them with a webhook that is gone, or, where they
are not kept, delete them with all objects. What it is now stands in its ConfigMap; a render without a
cluster finds none.
*/}}
{{- define "dgdr-operator.modeStays" -}}
{{- $now := lookup "v1" "ConfigMap" .Release.Namespace (include "dgdr-operator.fullname" .) | default dict -}}
{{- $mode := (get ($now.data | default dict) "config.yaml" | default "" | fromYaml).mode | default "" -}}
{{- if and (eq (title $mode) "Standalone") (ne (include "dgdr-operator.mode" .) "Standalone") -}}
{{- fail (printf "mode %s: this release is Standalone, and the nvidia.com CRDs are its own. Uninstall it first, its CRDs too (helm/dgdr-operator/README.md, \"Uninstall\"); install NVIDIA's operator, then this chart with mode %s (docs/beside.md)" .Values.mode .Values.mode) -}}
{{- end -}}
{{- end -}}

{{/*
The file that operator and planner read. Written field by field, so that a value which no program
knows cannot slip in.
*/}}
{{- define "dgdr-operator.config" -}}
{{- if and (eq .Values.mode "Takeover") (not .Values.namespaces) -}}
{{- fail "mode Takeover takes namespaces from NVIDIA's operator; name them: --set namespaces={team-a}" -}}
{{- end -}}
{{- include "dgdr-operator.modeStays" . -}}
mode: {{ include "dgdr-operator.mode" . }}
namespaces: {{ toJson .Values.namespaces }}
images:
  profiler: {{ include "dgdr-operator.image" (dict "root" . "name" "profiler") }}
  dynamoMocker: {{ include "dgdr-operator.image" (dict "root" . "name" "dynamoMocker") | quote }}
  pullPolicy: {{ .Values.images.pullPolicy }}
  pullSecrets: {{ toJson .Values.images.pullSecrets }}
dataPlane:
  discovery: {{ .Values.dataPlane.discovery }}
  requestPlane: {{ .Values.dataPlane.requestPlane }}
  eventPlane: {{ .Values.dataPlane.eventPlane }}
  natsUrl: {{ .Values.dataPlane.natsUrl | quote }}
  etcdEndpoints: {{ .Values.dataPlane.etcdEndpoints | quote }}
  modelExpressUrl: {{ .Values.dataPlane.modelExpressUrl | quote }}
  preStopSeconds: {{ .Values.dataPlane.preStopSeconds }}
rollout: {{ .Values.rollout }}
prometheus:
  url: {{ .Values.prometheus.url | quote }}
  scrapeIntervalSeconds: {{ .Values.prometheus.scrapeIntervalSeconds }}
  timeoutSeconds: {{ .Values.prometheus.timeoutSeconds }}
  parameters: {{ toJson .Values.prometheus.parameters }}
  tokenFile: {{ .Values.prometheus.tokenFile | quote }}
  credentialsDirectory: {{ ternary "/etc/dgdr-prometheus" "" (ne .Values.prometheus.credentialsSecret "") | quote }}
profiling:
  clusterRole: {{ include "dgdr-operator.fullname" . }}-profiling-job
  policyNamespace: {{ .Values.profiling.policyNamespace | quote }}
security:
  serviceAccounts: {{ toJson .Values.security.serviceAccounts }}
  restrictedWorkers: {{ .Values.security.restrictedWorkers }}
  runAsUser: {{ toJson .Values.security.runAsUser }}
  jobEgressPorts: {{ ternary .Values.security.networkPolicy.egressPorts list .Values.security.networkPolicy.enabled | toJson }}
health:
  port: {{ .Values.health.port }}
{{- if eq .Values.mode "Takeover" }}
takeover:
  holder: {{ printf "%s/%s" .Release.Namespace (include "dgdr-operator.fullname" .) }}
  principal: system:serviceaccount:{{ .Release.Namespace }}:{{ include "dgdr-operator.program" (dict "root" . "component" "operator") }}
{{- end }}
leaderElection:
  namespace: {{ .Release.Namespace }}
  operatorLease: {{ include "dgdr-operator.program" (dict "root" . "component" "operator") }}
  plannerLease: {{ include "dgdr-operator.program" (dict "root" . "component" "planner") }}
switch:
  namespace: {{ .Release.Namespace }}
{{- if include "dgdr-operator.admits" . }}
{{- $webhooks := include "dgdr-operator.program" (dict "root" . "component" "webhooks") }}
webhooks:
  namespace: {{ .Release.Namespace }}
  service: {{ $webhooks }}
  configuration: {{ $webhooks }}
  port: {{ .Values.admission.port }}
  defaultImage: {{ .Values.admission.defaultImage | quote }}
  certificate:
    secret: {{ $webhooks }}
    managed: {{ not .Values.admission.certificate.certManager.enabled }}
    validDays: {{ .Values.admission.certificate.validDays }}
{{- end }}
{{- end -}}

{{/*
Bind a ClusterRole to a ServiceAccount: everywhere, or in the listed namespaces only.
*/}}
{{- define "dgdr-operator.bindings" -}}
{{- $name := include "dgdr-operator.program" . -}}
{{- $root := .root -}}
{{- $namespaces := .root.Values.namespaces -}}
{{- if $namespaces }}
{{- range $namespaces }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ . }}
  labels:
    {{- include "dgdr-operator.labels" $root | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ $name }}}
subjects:
  - {kind: ServiceAccount, name: {{ $name }}, namespace: {{ $root.Release.Namespace }}}
{{- end }}
{{- else }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}
  labels:
    {{- include "dgdr-operator.labels" $root | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ $name }}}
subjects:
  - {kind: ServiceAccount, name: {{ $name }}, namespace: {{ $root.Release.Namespace }}}
{{- end }}
{{- end -}}
