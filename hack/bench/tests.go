package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// What tests may cost at most.
const (
	maxTenTests     = 6 * time.Second
	maxFiles        = time.Second
	maxStructure    = time.Second
	maxReportMemory = 150 << 20
	reportFiles     = 1000
	reportFileSize  = 10_000
	reportMB        = 200
	fewRuns         = 3 // of what takes long
)

// tests are the measurements of tests without services.
func (b *bench) tests() []measurement {
	return []measurement{
		{"suite that passed, unchanged: containers", b.passedSuite},
		{"ten tests that wait for 1 s", b.tenTests("wait", "sleep 1")},
		{"ten tests of 1 s of processor time", b.tenTests("work",
			`python3 -c "import time\nwhile time.process_time() < 1: pass"`)},
		{fmt.Sprintf("%d report files of %d KB: added time", reportFiles, reportFileSize/1000), b.manyReports},
		{fmt.Sprintf("report of %d MB", reportMB), b.largeReport},
		{"structure test of 200 files", b.structure},
	}
}

// passedSuite counts the containers that a suite takes which has passed: tests with a
// report, and the command of a structure test.
func (b *bench) passedSuite(ctx context.Context, _ int) (fact, error) {
	s, err := b.newSuite("passed", map[string]string{
		"seatrial.yaml": `tests:
  - {name: one, run: "echo said >said.txt", reports: [said.txt]}
  - {name: two, run: "true"}
  - file: structure.yaml
`,
		"structure.yaml": `{schemaVersion: 2.0.0, commandTests: [{name: three, command: "true"}]}`,
	})
	if err != nil {
		return fact{}, err
	}
	return s.again(ctx, 3)
}

// again runs a suite that takes so many containers, and then again.
func (s suite) again(ctx context.Context, containers int) (fact, error) {
	first, err := s.fresh(ctx)
	if err != nil {
		return fact{}, err
	}
	if first.containers < containers {
		return fact{}, fmt.Errorf("counting containers: %d of a new suite, want %d or more", first.containers, containers)
	}
	second, err := s.run(ctx)
	if err != nil {
		return fact{}, err
	}
	return fact{value: fmt.Sprintf("%d of %d", second.containers, first.containers), verdict: met(second.containers == 0, "0")}, nil
}

// tenTests takes the whole call's time: build, tests, reports.
func (b *bench) tenTests(name, command string) func(context.Context, int) (fact, error) {
	return func(ctx context.Context, runs int) (fact, error) {
		config := "tests:\n"
		for n := range 10 {
			config += fmt.Sprintf("  - {name: t%d, args: [sh, -c, %q]}\n", n, strings.ReplaceAll(command, `\n`, "\n"))
		}
		s, err := b.newSuite("ten-"+name, map[string]string{"seatrial.yaml": config})
		if err != nil {
			return fact{}, err
		}
		took, err := s.median(ctx, min(runs, fewRuns), func(t trial) (time.Duration, error) { return t.took, nil })
		return within(took, maxTenTests), err
	}
}

// manyReports compares the same test with and without its files coming back. The two
// take turns.
func (b *bench) manyReports(ctx context.Context, runs int) (fact, error) {
	write := fmt.Sprintf("import os\nos.mkdir('/out')\nfor i in range(%d): open(f'/out/{i}.txt', 'wb').write(os.urandom(%d))\n", reportFiles, reportFileSize)
	s, err := b.newSuite("many-reports", map[string]string{"seatrial.yaml": "tests: [{name: writes, run: python3 write.py}]\n", "write.py": write})
	if err != nil {
		return fact{}, err
	}
	var with, without []time.Duration
	for n := range runs + 1 {
		plain, err := s.fresh(ctx)
		if err != nil {
			return fact{}, err
		}
		reported, err := s.fresh(ctx, "--report", "/out")
		if err != nil {
			return fact{}, err
		}
		if err := allThere(filepath.Join(reported.reports, "writes")); err != nil {
			return fact{}, err
		}
		if n > 0 {
			without, with = append(without, plain.took), append(with, reported.took)
		}
	}
	return within(middle(with)-middle(without), maxFiles), nil
}

// allThere says whether all of manyReports' files are in a directory.
func allThere(dir string) error {
	n := 0
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".txt" {
			return err
		}
		info, err := os.Stat(path)
		if err == nil && info.Size() == reportFileSize {
			n++
		}
		return err
	})
	if err == nil && n != reportFiles {
		err = fmt.Errorf("looking for %d reports in %s: %d are there", reportFiles, dir, n)
	}
	return err
}

// largeReport has the test say what its file is, to compare with what comes back.
func (b *bench) largeReport(ctx context.Context, runs int) (fact, error) {
	s, err := b.newSuite("large-report", map[string]string{"seatrial.yaml": fmt.Sprintf(`tests:
  - name: writes
    run: head -c %d /dev/urandom >/large.bin && sha256sum /large.bin
    reports: [/large.bin]
`, reportMB*1_000_000)})
	if err != nil {
		return fact{}, err
	}
	var most int64
	took, err := s.median(ctx, min(runs, fewRuns), func(t trial) (time.Duration, error) {
		most = max(most, t.rss)
		return t.took, sameFile(filepath.Join(t.reports, "writes"))
	})
	return fact{value: seconds(took), memory: megabytes(most), verdict: met(most < maxReportMemory, "< "+megabytes(maxReportMemory))}, err
}

// sameFile says whether large.bin is what the test's output says.
func sameFile(dir string) error {
	said, err := os.ReadFile(filepath.Join(dir, "output.log"))
	if err != nil {
		return err
	}
	file, err := os.Open(filepath.Join(dir, "large.bin"))
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return err
	}
	if !strings.HasPrefix(string(said), fmt.Sprintf("%x ", sum.Sum(nil))) {
		return errors.New("comparing the large report: it is not what the test wrote")
	}
	return nil
}

// structure takes the time of the test that the result file states.
func (b *bench) structure(ctx context.Context, runs int) (fact, error) {
	files := map[string]string{"seatrial.yaml": "tests: [{file: structure.yaml}]\n"}
	var exist, contain strings.Builder
	for n := range 100 {
		name := fmt.Sprintf("file-%d", n)
		files[name] = fmt.Sprintf("ship %d\n", n)
		fmt.Fprintf(&exist, "  - {name: %[1]s, path: /project/%[1]s, shouldExist: true, permissions: -rw-r--r--}\n", name)
		fmt.Fprintf(&contain, "  - {name: %[1]s, path: /project/%[1]s, expectedContents: [\"ship %[2]d\"]}\n", name, n)
	}
	files["structure.yaml"] = "schemaVersion: 2.0.0\nfileExistenceTests:\n" + exist.String() + "fileContentTests:\n" + contain.String()
	s, err := b.newSuite("structure", files)
	if err != nil {
		return fact{}, err
	}
	took, err := s.median(ctx, runs, func(t trial) (time.Duration, error) {
		return time.Duration(t.result.Tests[0].Seconds * float64(time.Second)), nil
	})
	return within(took, maxStructure), err
}
