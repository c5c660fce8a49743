package protocol

import (
	"cmp"
	"slices"
)

// Split says how the helper shares files out among shards. It writes SplitFile, the
// list of each shard in order.
type Split struct {
	// Patterns are of files below the working directory: *, ?, [a-z], and ** for any
	// directories.
	Patterns []string `json:"patterns"`
	// Shards is how many there are. None is left without a file.
	Shards int `json:"shards"`
	// Out and Control are as in Run.
	Out     string `json:"out"`
	Control string `json:"control,omitempty"`
}

// Balance shares files out so that each shard takes about as long, by how many seconds
// the files took before. One that is not known takes as long as others do on average.
func Balance(files []string, seconds map[string]float64, shards int) [][]string {
	mean, known := 0.0, 0
	for _, f := range files {
		if s, ok := seconds[f]; ok {
			mean, known = mean+s, known+1
		}
	}
	if mean /= float64(max(1, known)); mean <= 0 {
		mean = 1
	}
	cost := func(f string) float64 {
		if s, ok := seconds[f]; ok {
			return max(s, mean/1000) // so that those that take no time are spread as well
		}
		return mean
	}
	longest := slices.Clone(files)
	slices.SortFunc(longest, func(a, b string) int { return cmp.Or(cmp.Compare(cost(b), cost(a)), cmp.Compare(a, b)) })
	lists, loads := make([][]string, shards), make([]float64, shards)
	for _, f := range longest {
		least := slices.Index(loads, slices.Min(loads))
		lists[least], loads[least] = append(lists[least], f), loads[least]+cost(f)
	}
	for _, list := range lists {
		slices.Sort(list)
	}
	return lists
}
