package dkimkey

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// Ring is the keys of one domain, in the order in which they were made.
type Ring []Key

// Signing are the keys that sign, RSA first: who knows only one algorithm knows that one.
func (r Ring) Signing() (keys []Key) {
	for _, a := range []Algorithm{RSA, Ed25519} {
		for _, k := range r {
			if k.State == Active && k.Algorithm == a && k.Private != nil {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// Waiting are the keys that are to sign and do not yet.
func (r Ring) Waiting() (keys []Key) {
	for _, k := range r {
		if k.Waiting() {
			keys = append(keys, k)
		}
	}
	return keys
}

// Find gives the key of a selector.
func (r Ring) Find(selector string) (Key, bool) {
	for _, k := range r {
		if k.Selector == selector {
			return k, true
		}
	}
	return Key{}, false
}

// has tells whether there is a key of an algorithm in one of these states.
func (r Ring) has(a Algorithm, states ...State) bool {
	for _, k := range r {
		for _, s := range states {
			if k.Algorithm == a && k.State == s {
				return true
			}
		}
	}
	return false
}

const (
	ringHead = "# DKIM keys of %s. facteur writes this file; see \"facteur dkim --help\".\n# selector algorithm state since\n"
	// ringMax is the largest file of keys, in bytes, keysMax how many keys a domain has.
	ringMax, keysMax = 64 << 10, 32
)

// text is the ring as its file has it.
func (r Ring) text(domain string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, ringHead, domain)
	for _, k := range r {
		fmt.Fprintf(&b, "%s %s %s %s\n", k.Selector, k.Algorithm, k.State, k.Since.UTC().Format(time.RFC3339))
	}
	return b.Bytes()
}

// parseRing reads the file of a domain's keys, without the keys.
func parseRing(domain string, text []byte) (Ring, error) {
	var r Ring
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		k, err := parseLine(domain, words)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if _, twice := r.Find(k.Selector); twice {
			return nil, fmt.Errorf("line %d: selector %s is there twice", n, k.Selector)
		}
		if r = append(r, k); len(r) > keysMax {
			return nil, fmt.Errorf("line %d: more than %d keys", n, keysMax)
		}
	}
	return r, nil
}

func parseLine(domain string, words []string) (k Key, err error) {
	if len(words) != 4 {
		return k, fmt.Errorf("%d words; expected a selector, an algorithm, a state and a time", len(words))
	}
	k = Key{Domain: domain, Algorithm: Algorithm(words[1]), State: State(words[2])}
	if k.Selector, err = CanonicalSelector(words[0]); err != nil {
		return k, err
	}
	switch k.Algorithm {
	case RSA, Ed25519:
	default:
		return k, fmt.Errorf("algorithm %q; expected rsa or ed25519", words[1])
	}
	switch k.State {
	case Made, Published, Active, Retiring, Retired:
	default:
		return k, fmt.Errorf("state %q; expected made, published, active, retiring or retired", words[2])
	}
	if k.Since, err = time.Parse(time.RFC3339, words[3]); err != nil {
		return k, fmt.Errorf("time %q; expected one like 2026-01-31T12:00:00Z", words[3])
	}
	return k, nil
}

// CanonicalSelector is a selector in lower case: labels of letters, digits, "-" and "_"
// (RFC 6376 §3.1). It is fit for the name of a file.
func CanonicalSelector(s string) (string, error) {
	low := strings.ToLower(s)
	for label := range strings.SplitSeq(low, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, selectorBytes) != "" || label[0] == '-' || label[len(label)-1] == '-' {
			return "", fmt.Errorf("selector %q; expected letters, digits and \"-\", with dots between them", s)
		}
	}
	if len(low) > 128 {
		return "", fmt.Errorf("selector %q is longer than 128 characters", s)
	}
	return low, nil
}

const selectorBytes = "abcdefghijklmnopqrstuvwxyz0123456789-_"
