// Command verdicts says what GitOps tools make of objects: Argo CD's Lua, Flux's expressions,
// kstatus. It reads one question a line and writes one answer a line, both JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type question struct {
	Object json.RawMessage                   `json:"object"`
	Lua    string                            `json:"lua,omitempty"`
	Flux   *kustomize.HealthCheckExpressions `json:"flux,omitempty"`
}

type answer struct {
	Kstatus string  `json:"kstatus"`
	Flux    string  `json:"flux,omitempty"`
	Argo    *health `json:"argo,omitempty"`
}

func judge(asked question) (answer, error) {
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(asked.Object); err != nil {
		return answer{}, err
	}
	computed, err := status.Compute(object)
	if err != nil {
		return answer{}, fmt.Errorf("kstatus: %w", err)
	}
	told := answer{Kstatus: computed.Status.String()}
	if asked.Flux != nil {
		evaluator, err := cel.NewStatusEvaluator(asked.Flux)
		if err != nil {
			return answer{}, fmt.Errorf("flux: %w", err)
		}
		// Flux shows an error of evaluation as Unknown and looks again.
		told.Flux = status.UnknownStatus.String()
		if found, err := evaluator.Evaluate(context.Background(), object); err == nil {
			told.Flux = found.Status.String()
		}
	}
	if asked.Lua != "" {
		found, err := argo(asked.Lua, object.Object)
		if err != nil {
			return answer{}, fmt.Errorf("argo: %w", err)
		}
		told.Argo = &found
	}
	return told, nil
}

func run(in io.Reader, out io.Writer) error {
	questions, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		asked := question{}
		if err := questions.Decode(&asked); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		told, err := judge(asked)
		if err != nil {
			return fmt.Errorf("%s: %w", asked.Object, err)
		}
		if err := answers.Encode(told); err != nil {
			return err
		}
	}
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
