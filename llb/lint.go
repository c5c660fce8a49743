package llb

import (
	"context"
	"fmt"
	"sync"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
)

// warnings says for each of the platforms, by its index, who is told lint warnings.
type warnings func(platform int) linter.LintWarnFunc

// firstWarnings passes on those of the first platform, as BuildKit's own frontend
// does.
func (cv *conversion) firstWarnings(ctx context.Context) warnings {
	warn := cv.warn(ctx)
	return func(platform int) linter.LintWarnFunc {
		if platform > 0 {
			return nil
		}
		return warn
	}
}

// allWarnings passes on those of all platforms and stages that it is used for, each
// once: stages share instructions, and every platform has them all. They all have
// one function, since the converter keeps it where conversions that run side by side
// share it.
func (cv *conversion) allWarnings(ctx context.Context) warnings {
	warn := cv.warn(ctx)
	var told sync.Map
	once := func(rule, description, url, msg string, location []parser.Range) {
		if _, again := told.LoadOrStore(fmt.Sprint(rule, msg, location), true); !again {
			warn(rule, description, url, msg, location)
		}
	}
	return func(int) linter.LintWarnFunc { return once }
}

// warn passes lint warnings on to the daemon, which puts them into the status
// stream and the build's history.
func (cv *conversion) warn(ctx context.Context) linter.LintWarnFunc {
	return func(rule, description, url, msg string, location []parser.Range) {
		line := 0
		if len(location) > 0 {
			line = location[0].Start.Line
		}
		opts := gateway.WarnOpts{
			Level:      1,
			SourceInfo: sourceInfo(cv.src.SourceMap),
			Detail:     [][]byte{[]byte(description)},
			URL:        url,
			Range:      pbRanges(location),
		}
		short := linter.LintFormatShort(rule, msg, line)
		if cv.warned != nil {
			// The daemon loses some of a build that fails right after.
			cv.warned(&client.VertexWarning{
				Level: opts.Level, Short: []byte(short), Detail: opts.Detail,
				URL: url, SourceInfo: opts.SourceInfo, Range: opts.Range,
			})
		}
		cv.src.Warn(ctx, short, opts)
	}
}
