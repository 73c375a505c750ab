// kind itself (where Docker answers) and the strict check of kind-config.yaml against its types.
module dgdr.dev/hack/cluster/tools/kindconfig

go 1.24.0

tool sigs.k8s.io/kind

require (
	go.yaml.in/yaml/v3 v3.0.4
	sigs.k8s.io/kind v0.30.0
)
