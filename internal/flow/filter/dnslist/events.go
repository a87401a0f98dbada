package dnslist

import (
	"log/slog"

	"facteur/internal/base/event"
)

// Unusable: a list does not work, and is not asked until it does. It is told once.
type Unusable struct{ Zone, Reason string }

// Level implements event.Event.
func (Unusable) Level() slog.Level { return slog.LevelWarn }

// Record implements event.Event.
func (e Unusable) Record() (string, []slog.Attr) {
	return "DNS list is not used", []slog.Attr{slog.String("zone", e.Zone), slog.String("reason", e.Reason)}
}

// Line implements event.Event.
func (e Unusable) Line() (string, string) {
	return "facteur/filter", "warning: the DNS list " + e.Zone + " is not used until it works: " + e.Reason
}

// Recovered: a list works again.
type Recovered struct{ Zone string }

// Level implements event.Event.
func (Recovered) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Recovered) Record() (string, []slog.Attr) {
	return "DNS list is used again", []slog.Attr{slog.String("zone", e.Zone)}
}

// Line implements event.Event.
func (e Recovered) Line() (string, string) {
	return "facteur/filter", "the DNS list " + e.Zone + " works again"
}

// Surprised: a list answered what the settings do not know.
type Surprised struct{ Zone, Codes string }

// Level implements event.Event.
func (Surprised) Level() slog.Level { return slog.LevelWarn }

// Record implements event.Event.
func (e Surprised) Record() (string, []slog.Attr) {
	return "DNS list gave an unknown answer", []slog.Attr{slog.String("zone", e.Zone), slog.String("codes", e.Codes)}
}

// Line implements event.Event.
func (e Surprised) Line() (string, string) {
	return "facteur/filter", "warning: the DNS list " + e.Zone + " answers " + e.Codes + ", which the settings do not know; it counts nothing"
}

var _ = []event.Event{Unusable{}, Recovered{}, Surprised{}}
