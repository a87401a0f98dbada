package config

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// Service is what is spoken on a listener.
type Service string

// The services.
const (
	SMTP        Service = "smtp"
	Submission  Service = "submission"
	Submissions Service = "submissions"
	IMAP        Service = "imap"
	IMAPS       Service = "imaps"
	POP3        Service = "pop3"
	POP3S       Service = "pop3s"
	LMTP        Service = "lmtp"
	Local       Service = "local"
	AuthService Service = "auth"
	Saslauthd   Service = "saslauthd"
	PolicyDoor  Service = "policy"
)

// planned are services that the settings file will know; naming one is no typing
// error, and the message should not say that it is.
var planned = []string{"sieve", "http", "https"}

// Form says what a service may be.
func (Service) Form() string {
	return oneOf(SMTP, Submission, Submissions, LMTP, Local, IMAP, IMAPS, POP3, POP3S, AuthService, Saslauthd, PolicyDoor)
}

// UnmarshalText takes the name of a service.
func (s *Service) UnmarshalText(text []byte) error {
	if slices.Contains(planned, string(text)) {
		return fmt.Errorf("the service %q is not built yet; expected %s", text, s.Form())
	}
	return choose(s, text, SMTP, Submission, Submissions, LMTP, Local, IMAP, IMAPS, POP3, POP3S, AuthService, Saslauthd, PolicyDoor)
}

// Port is the usual port of the service.
func (s Service) Port() uint16 {
	switch s {
	case Submission:
		return 587
	case Submissions:
		return 465
	case IMAP:
		return 143
	case IMAPS:
		return 993
	case POP3:
		return 110
	case POP3S:
		return 995
	case LMTP:
		return 24
	case PolicyDoor:
		return 10031 // as cluebringer
	}
	return 25
}

// ImplicitTLS says whether the connection begins with a TLS handshake.
func (s Service) ImplicitTLS() bool { return s == Submissions || s == IMAPS || s == POP3S }

// InetProtocols is which Internet protocols are used to reach others.
type InetProtocols string

// The choices, as Postfix names them.
const (
	InetAll  InetProtocols = "all"
	InetIPv4 InetProtocols = "ipv4"
	InetIPv6 InetProtocols = "ipv6"
)

// Form says what may be written.
func (InetProtocols) Form() string { return oneOf(InetAll, InetIPv4, InetIPv6) }

// UnmarshalText takes one of the choices.
func (p *InetProtocols) UnmarshalText(text []byte) error {
	return choose(p, text, InetAll, InetIPv4, InetIPv6)
}

// Language is that of what mailbox owners read.
type Language string

// The languages.
const (
	English Language = "en"
	French  Language = "fr"
)

// Form says what may be written.
func (Language) Form() string { return oneOf(English, French) }

// UnmarshalText takes one of the choices.
func (l *Language) UnmarshalText(text []byte) error { return choose(l, text, English, French) }

// LogFormat is the form of log lines.
type LogFormat string

// The forms.
const (
	LogPostfix LogFormat = "postfix"
	LogText    LogFormat = "text"
	LogJSON    LogFormat = "json"
)

// Form says what may be written.
func (LogFormat) Form() string { return oneOf(LogPostfix, LogText, LogJSON) }

// UnmarshalText takes one of the forms.
func (f *LogFormat) UnmarshalText(text []byte) error {
	return choose(f, text, LogPostfix, LogText, LogJSON)
}

// LogLevel is the least severity that is told.
type LogLevel string

// Form says what may be written.
func (LogLevel) Form() string { return oneOf[LogLevel]("debug", "info", "warn", "error") }

// UnmarshalText takes the name of a severity.
func (l *LogLevel) UnmarshalText(text []byte) error {
	return choose[LogLevel](l, text, "debug", "info", "warn", "error")
}

// Slog is the level as log/slog counts it.
func (l LogLevel) Slog() slog.Level {
	var level slog.Level
	if level.UnmarshalText([]byte(l)) != nil {
		return slog.LevelInfo
	}
	return level
}

// choose sets *to if text is one of the choices.
func choose[T ~string](to *T, text []byte, choices ...T) error {
	if !slices.Contains(choices, T(text)) {
		return fmt.Errorf("expected %s, found %q", oneOf(choices...), text)
	}
	*to = T(text)
	return nil
}

// oneOf is `"a", "b" or "c"`.
func oneOf[T ~string](choices ...T) string {
	quoted := make([]string, len(choices))
	for i, c := range choices {
		quoted[i] = fmt.Sprintf("%q", string(c))
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}
