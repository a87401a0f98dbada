package rspamd

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Answer is what rspamd makes of a letter.
type Answer struct {
	// Score is its sum, Required that from which rspamd would reject.
	Score, Required float64
	// Action is what it would do: "no action", "greylist", "add header", "rewrite subject",
	// "soft reject" or "reject".
	Action string
	// Skipped: rspamd did not look at the letter.
	Skipped bool
	// Symbols are what it found, the weightiest first, at most symbolsMost.
	Symbols []Symbol
}

// Symbol is one thing that rspamd found.
type Symbol struct {
	Name  string
	Score float64
}

const symbolsMost = 500

// Refused is an answer of HTTP that is not 200, or one that says what is wrong.
type Refused struct {
	Status int
	Text   string
}

// Error implements error.
func (e *Refused) Error() string {
	return fmt.Sprintf("rspamd answers %d: %s", e.Status, cmp.Or(e.Text, "nothing"))
}

// reply is the object as it comes.
type reply struct {
	Score     *float64 `json:"score"`
	Required  float64  `json:"required_score"`
	Action    *string  `json:"action"`
	IsSkipped bool     `json:"is_skipped"`
	Symbols   map[string]struct {
		Score float64 `json:"score"`
	} `json:"symbols"`
	Error string `json:"error"`
}

// parse reads an answer.
func parse(text []byte) (Answer, error) {
	var r reply
	if err := json.Unmarshal(text, &r); err != nil {
		return Answer{}, fmt.Errorf("no answer of rspamd: %w", err)
	}
	switch {
	case r.Error != "":
		return Answer{}, &Refused{Status: 200, Text: printable(r.Error)}
	case r.IsSkipped && (r.Action == nil || *r.Action == "no action"): // skipped with an action: rspamd knew enough at once (GTUBE)
		return Answer{Skipped: true}, nil
	case r.Score == nil || r.Action == nil || math.IsNaN(*r.Score) || math.IsInf(*r.Score, 0):
		return Answer{}, errors.New("no answer of rspamd: it has no score and action")
	}
	a := Answer{Score: *r.Score, Required: r.Required, Action: printable(*r.Action)}
	for name, s := range r.Symbols {
		a.Symbols = append(a.Symbols, Symbol{Name: printable(name), Score: s.Score})
	}
	slices.SortFunc(a.Symbols, func(x, y Symbol) int {
		return cmp.Or(cmp.Compare(math.Abs(y.Score), math.Abs(x.Score)), strings.Compare(x.Name, y.Name))
	})
	a.Symbols = a.Symbols[:min(len(a.Symbols), symbolsMost)]
	return a, nil
}

// reason is why rspamd refuses, as it says it.
func reason(text []byte) string {
	var r reply
	if json.Unmarshal(text, &r) == nil && r.Error != "" {
		return printable(r.Error)
	}
	return printable(string(text))
}

// nameMost is how much of a text is given, in bytes.
const nameMost = 200

// printable is a text as people and headers may see it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s[:min(len(s), nameMost)])
}
