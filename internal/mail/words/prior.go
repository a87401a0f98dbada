package words

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// Prior is what is known of tokens before anybody has learnt anything. The zero Prior
// knows nothing. It is not changed any more, and may be shared.
//
// As a file it is eight bytes "facteurW", then for each feature, ordered by print, seven
// bytes: print (the upper half of a token's hash, big-endian), weight, and in how many of
// 255 letters of spam and of other mail it was.
type Prior struct {
	features []Feature
	// starts is, for each value of the upper 16 bits of a print, the first feature.
	starts []uint32
}

// Feature is what a Prior knows of a token.
type Feature struct {
	Print uint32
	// Weight is in 32nds of the odds; positive speaks for spam.
	Weight int8
	// Spam and Ham are in how many of 255 letters it was.
	Spam, Ham uint8
}

const (
	priorMagic  = "facteurW"
	featureSize = 7
	weightUnit  = 32
)

// ErrBadPrior says that bytes are no prior.
var ErrBadPrior = errors.New("words: not a prior model, or one of another version")

//go:embed prior.bin
var shipped string

// Shipped is the prior that we trained: internal/test/prior says on what.
func Shipped() (*Prior, error) { return ParsePrior([]byte(shipped)) }

// NewPrior makes a Prior of features.
func NewPrior(features []Feature) *Prior {
	p := &Prior{features: slices.Clone(features), starts: make([]uint32, 1<<16+1)}
	slices.SortFunc(p.features, func(a, b Feature) int { return int(int64(a.Print) - int64(b.Print)) })
	at := 0
	for top := range p.starts {
		for at < len(p.features) && int(p.features[at].Print>>16) < top {
			at++
		}
		p.starts[top] = uint32(at)
	}
	return p
}

// ParsePrior reads what Append wrote.
func ParsePrior(b []byte) (*Prior, error) {
	if len(b) < len(priorMagic) || string(b[:len(priorMagic)]) != priorMagic || (len(b)-len(priorMagic))%featureSize != 0 {
		return nil, ErrBadPrior
	}
	b = b[len(priorMagic):]
	features := make([]Feature, 0, len(b)/featureSize)
	for ; len(b) > 0; b = b[featureSize:] {
		features = append(features, Feature{binary.BigEndian.Uint32(b), int8(b[4]), b[5], b[6]})
	}
	return NewPrior(features), nil
}

// Append writes a Prior as a file.
func (p *Prior) Append(b []byte) []byte {
	b = append(b, priorMagic...)
	for _, f := range p.features {
		b = binary.BigEndian.AppendUint32(b, f.Print)
		b = append(b, byte(f.Weight), f.Spam, f.Ham)
	}
	return b
}

// Len is how many tokens it knows.
func (p *Prior) Len() int { return len(p.features) }

// find is what is known of a token, and whether anything is.
func (p *Prior) find(t *token) (Feature, bool) {
	if p == nil || p.starts == nil || t.kind.local() {
		return Feature{}, false
	}
	print := uint32(t.hash >> 32)
	top := print >> 16
	for _, f := range p.features[p.starts[top]:p.starts[top+1]] {
		if f.Print == print {
			return f, true
		}
	}
	return Feature{}, false
}

// PriorScale makes of the sum of n weights what they add to the odds: of many tokens that
// say the same, each says less, and a few say little.
func PriorScale(n int) float64 { return 3 / math.Sqrt(float64(n)+20) }
