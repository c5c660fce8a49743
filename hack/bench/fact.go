package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// fact is a measurement that nobody else is compared in.
type fact struct {
	title, value, verdict string
	memory                string // the client's peak, where it matters
}

// measurement is a fact that is still to be found out, with so many runs.
type measurement struct {
	title   string
	measure func(ctx context.Context, runs int) (fact, error)
}

// within is a time that has a limit.
func within(took, limit time.Duration) fact {
	return fact{value: seconds(took), verdict: met(took <= limit, "<= "+seconds(limit))}
}

// measureFacts finds out those that are wanted, one after the other.
func (b *bench) measureFacts(ctx context.Context, opt options) ([]fact, error) {
	all := slices.Concat([]measurement{{"private daemon ready, no state", b.measureReady}}, b.push(), b.tests(), b.services())
	var facts []fact
	for _, m := range all {
		if !opt.only.MatchString(m.title) {
			continue
		}
		f, err := m.measure(ctx, opt.runs)
		if err != nil {
			return nil, fmt.Errorf("measuring %s: %w", m.title, err)
		}
		f.title = m.title
		fmt.Fprintf(os.Stderr, "%-44s %s %s\n", f.title, f.value, f.verdict)
		facts = append(facts, f)
	}
	return facts, nil
}
