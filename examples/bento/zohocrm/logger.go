package zohocrm

import (
	"context"
	"log/slog"

	"github.com/warpstreamlabs/bento/public/service"
)

// newLogger lets the library write to the engine's log, one level down: a failed call is a matter of the message, which carries its error
// on to where the pipeline deals with it.
func newLogger(to *service.Logger) *slog.Logger { return slog.New(handler{to}) }

type handler struct{ to *service.Logger }

func (handler) Enabled(context.Context, slog.Level) bool { return true }

func (h handler) Handle(_ context.Context, record slog.Record) error {
	to := h.to
	record.Attrs(func(attr slog.Attr) bool {
		to = to.With(attr.Key, attr.Value.String())
		return true
	})
	switch {
	case record.Level >= slog.LevelWarn:
		to.Warn(record.Message)
	case record.Level >= slog.LevelInfo:
		to.Debug(record.Message)
	default:
		to.Trace(record.Message)
	}
	return nil
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	to := h.to
	for _, attr := range attrs {
		to = to.With(attr.Key, attr.Value.String())
	}
	return handler{to}
}

func (h handler) WithGroup(string) slog.Handler { return h }
