package zohocrm

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/warpstreamlabs/bento/public/service"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

// runner makes calls, and metrics and spans of them.
type runner struct {
	*connection
	timeout time.Duration
	logger  *service.Logger
	calls   *service.MetricCounter
	took    *service.MetricTimer
	tracer  trace.Tracer
}

func newRunner(conf *service.ParsedConfig, mgr *service.Resources) (*runner, error) {
	timeout, err := conf.FieldDuration("timeout")
	if err != nil {
		return nil, err
	}
	if timeout < 0 {
		return nil, fmt.Errorf("timeout: is %s; it is a time, or 0s for none", timeout)
	}
	c, err := open(conf, mgr)
	if err != nil {
		return nil, err
	}
	return &runner{
		connection: c,
		timeout:    timeout,
		logger:     mgr.Logger(),
		calls:      mgr.Metrics().NewCounter("zcrm_calls", "operation", "status"),
		took:       mgr.Metrics().NewTimer("zcrm_call_ns", "operation", "status"),
		tracer:     mgr.OtelTracer().Tracer("zcrm"),
	}, nil
}

// call runs one call of the library. within is the context that ends it; of is that of the message, which has its trace.
func (r *runner) call(within, of context.Context, operation string, call func(context.Context, *zcrm.Client, ...zcrm.CallOption) error) *failure {
	began := time.Now()
	ctx, span := r.tracer.Start(trace.ContextWithSpan(within, trace.SpanFromContext(of)), "zcrm "+operation, trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	options := []zcrm.CallOption{zcrm.WithTimeout(r.timeout)}
	if id := span.SpanContext().TraceID(); id.IsValid() {
		options = append(options, zcrm.WithTraceID(id.String()))
	}
	err := r.use(func(client *zcrm.Client) error { return call(ctx, client, options...) })

	var failed *failure
	status := "ok"
	if err != nil {
		failed = failureOf(err)
		status = failed.class
		span.SetStatus(codes.Error, failed.Error())
		span.SetAttributes(attribute.Int("http.response.status_code", failed.httpStatus), attribute.Bool("zcrm.retryable", failed.retryable))
	}
	span.SetAttributes(attribute.String("zcrm.operation", operation), attribute.String("zcrm.class", status))
	outage.met(failed)
	r.calls.Incr(1, operation, status)
	r.took.Timing(time.Since(began).Nanoseconds(), operation, status)
	return failed
}

// run does what the step says, and gives its result.
func (r *runner) run(ctx context.Context, msg *service.Message, s *step) (output []byte, failed *failure) {
	failed = r.call(ctx, msg.Context(), s.operation, func(ctx context.Context, client *zcrm.Client, options ...zcrm.CallOption) error {
		if s.redelivered {
			options = append(options, zcrm.WithAgain())
		}
		var err error
		if output, err = client.RunStep(ctx, s.input, options...); err != nil {
			return err
		}
		return unfinishedOf(output)
	})
	return output, failed
}
