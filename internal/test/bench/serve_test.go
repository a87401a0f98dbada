package bench

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"facteur/internal/app"
	"facteur/internal/app/config"
	"facteur/internal/base/event"
	"facteur/internal/test/interop"
)

// BenchmarkServe runs the house in this process, for -cpuprofile and -memprofile:
// what it does all day is to take letters from smtp-source and to put them into a
// Maildir.
func BenchmarkServe(b *testing.B) {
	source := interop.Need(b, "smtp-source")
	letters := number("FACTEUR_BENCH_LETTERS", 20_000)
	f := interop.NewFacteur(b, interop.Setup{Accounts: []string{alice}, Services: []string{"smtp"}})
	stop := inProcess(b, f)
	defer stop()
	_, arrivals := maildir(b)
	arrived, sent := arrivals(f), 0
	for _, keep := range []bool{false, true} {
		load{to: alice, keep: keep}.send(b, source, f, letters)
		sent += letters
		wait(b, arrived, sent)
	}
}

// inProcess starts the house as "facteur serve" does, with its log in a file.
func inProcess(b *testing.B, f *interop.Facteur) (stop func()) {
	b.Helper()
	cfg, err := config.Load(f.Config())
	if err != nil {
		b.Fatal(err)
	}
	file, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	log := event.NewLog(file, event.Format(cfg.Log.Format), slog.LevelInfo, cfg.Hostname)
	house, err := app.New(cfg, log)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- house.Run(ctx) }()
	return func() {
		cancel()
		if err := <-over; err != nil {
			b.Error(err)
		}
		log.Close()
		file.Close()
	}
}
