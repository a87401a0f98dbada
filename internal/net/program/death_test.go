package program_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/net/program"
)

// serveOne is the argument that makes this binary a server that gives a letter to a program
// and never gets to its end.
const serveOne = "serve one letter"

// serveAndHang runs a shell as a user, which notes its number and whether it has read a
// whole letter, in a directory.
func serveAndHang(user, dir string) int {
	p, err := program.New(program.Settings{User: user, Literal: true, Command: []string{"/bin/sh", "-c",
		`echo $$ > "$1/started.new"; mv "$1/started.new" "$1/started"; while read -r line; do :; done; sleep 0.2; touch "$1/whole"`, "sh", dir}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	body, _ := io.Pipe() // there is always more to come
	p.Run(context.Background(), program.Letter{Recipients: []program.Recipient{{Address: address.Address{Local: "a", Domain: "x.example"}}}}, io.MultiReader(strings.NewReader("Subject: half\r\n\r\nof it\r\n"), body))
	return 0
}

// OUT-001, FLT-001: a server that is killed in the middle of a letter takes the program with
// it, so that half a letter is not taken for the whole.
func TestDeathOfTheServer(t *testing.T) {
	user, dir := settings().User, place(t)
	server := exec.Command(program.OwnProgram, serveOne, user, dir)
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	for end := time.Now().Add(30 * time.Second); pid == 0; time.Sleep(10 * time.Millisecond) {
		text, _ := os.ReadFile(filepath.Join(dir, "started"))
		pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		if time.Now().After(end) {
			t.Fatal("the program was not started")
		}
	}
	_ = server.Process.Kill()
	_ = server.Wait()
	for end := time.Now().Add(30 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the program lives on")
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "whole")); err == nil {
		t.Error("half a letter was taken for the whole")
	}
}
