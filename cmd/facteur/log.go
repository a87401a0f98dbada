package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"facteur/internal/app/config"
	"facteur/internal/base/event"
)

// serverLog is the log of a running server and the file that it goes to.
type serverLog struct {
	*event.Log
	settings config.Log
	path     string // of the file; "" for the standard error
	file     *os.File
}

func openLog(cfg *config.Config, stderr io.Writer) (*serverLog, error) {
	l := &serverLog{settings: cfg.Log}
	out := stderr
	if cfg.Log.Destination != "stderr" {
		l.path = cfg.Log.Destination
		file, err := openLogFile(l.path)
		if err != nil {
			return nil, err
		}
		l.file, out = file, file
	}
	l.Log = event.NewLog(out, event.Format(cfg.Log.Format), cfg.Log.Level.Slog(), cfg.Hostname)
	return l, nil
}

func openLogFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return f, nil
}

// reopen opens the file anew, for after a rotation. The old one goes on when the
// new one can not be had.
func (l *serverLog) reopen() error {
	if l.path == "" {
		return nil
	}
	file, err := openLogFile(l.path)
	if err != nil {
		return err
	}
	old := l.file
	l.Redirect(file)
	l.file = file
	return old.Close()
}

func (l *serverLog) note(text string) {
	l.Emit(event.Note{Severity: slog.LevelInfo, Program: "facteur/master", Text: text})
}

// warn tells each line of an error.
func (l *serverLog) warn(err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		l.Emit(event.Note{Severity: slog.LevelWarn, Program: "facteur/master", Text: line})
	}
}

func (l *serverLog) close() {
	l.Log.Close()
	if l.file != nil {
		l.file.Close()
	}
}
