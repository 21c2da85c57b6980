package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func TestNoWayOfPrintingShowsAValue(t *testing.T) {
	const canary = "canary-51d0"
	v := New(canary)
	type holder struct {
		Public  Value
		private Value
		list    []Value
	}
	var out bytes.Buffer
	for _, x := range []any{v, &v, holder{v, v, []Value{v}}, &holder{v, v, []Value{v}}, []Value{v}, map[string]Value{"a": v}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", x)
		}
		raw, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(raw)
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "x", x)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "x", x)
		core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&out), zap.DebugLevel)
		zap.New(core).Info("m", zap.Any("any", x), zap.Reflect("reflect", x))
	}
	if !strings.Contains(out.String(), redacted) {
		t.Error("nothing was printed")
	}
	if strings.Contains(out.String(), "canary") {
		t.Errorf("the value is in %s", out.String())
	}
	if v.Reveal() != canary || v.IsZero() || !v.Same(v) || v.Same(New(canary)) || !(Value{}).IsZero() {
		t.Error("the value itself is not what was put in")
	}
}
