package zcrm

import (
	"context"

	"github.com/zcrm/zcrm/bindings/go/internal/cabi"
)

// RunStep runs one operation given as JSON, and returns its result as JSON:
//
//	{"operation": "attachment.upload", "module": "Contacts", "record_id": "3652397000000649013", "source": {"path": "/srv/files/a.pdf"}}
//	{"operation": "attachment.upload", "result": {"id": "…", …}, "attempts": 1, "waited_ms": 0}
//
// [DescribeSteps] has the schemas. The library doesn't trust the input, which may name files only below the directories of the setting "allow_paths".
// An input that isn't as described is [ErrArgument], reason "step_input", and the Message says where. input must not be changed during the call.
func (c *Client) RunStep(ctx context.Context, input []byte, options ...CallOption) ([]byte, error) {
	const operation = "step.run"
	var call callOptions
	if err := call.take(operation, steps, options); err != nil {
		return nil, err
	}
	output, err := c.seam().Step(ctx, input, &call.Call)
	return output, wrap(operation, err)
}

// DescribeSteps gives, as one JSON document, the operations with the JSON Schema of their inputs and outputs, the settings and which of
// them are secret, the codes of errors, and the limits.
func DescribeSteps() []byte { return cabi.DescribeSteps() }
