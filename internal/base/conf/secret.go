package conf

import "log/slog"

// Secret is a password in a settings file. It is written out nowhere: not by "%v", not
// as JSON, not when settings are shown; Reveal alone gives it.
type Secret struct{ text string }

// hidden stands for a secret in all that people read.
const hidden = "(hidden)"

// NewSecret keeps text as a secret.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal is the secret itself, for whom it is meant.
func (s Secret) Reveal() string { return s.text }

// Form implements Form.
func (Secret) Form() string { return "text in quotes" }

// UnmarshalText takes any text.
func (s *Secret) UnmarshalText(text []byte) error {
	s.text = string(text)
	return nil
}

// MarshalText tells no more than whether there is one.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String tells no more than whether there is one.
func (s Secret) String() string {
	if s.text == "" {
		return ""
	}
	return hidden
}

// GoString is for "%#v".
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
