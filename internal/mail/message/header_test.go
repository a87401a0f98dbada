package message

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func TestHeader(t *testing.T) {
	h := Header("Received: a\r\n\tb\r\nSubject : x\r\nno colon\r\nna me: y\r\nRECEIVED:c\r\nEmpty:\r\n\r\nSubject: body")
	if got := h.All("received"); !reflect.DeepEqual(got, []string{"a b", "c"}) {
		t.Errorf("All: %q", got)
	}
	if got := h.Get("subject"); got != "x" {
		t.Errorf("Get: %q", got)
	}
	if h.Count("Received") != 2 || h.Count("x") != 0 {
		t.Error("Count")
	}
	if _, ok := h.Lookup("empty"); !ok {
		t.Error("an empty field is a field")
	}
	var names []string
	for f := range h.Fields() {
		names = append(names, string(f.Name))
		if string(f.Name) == "" && f.Text() != "no colon" {
			t.Errorf("no colon: %q", f.Text())
		}
	}
	if want := []string{"Received", "Subject", "", "na me", "RECEIVED", "Empty"}; !reflect.DeepEqual(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
}

func TestHeaderEnd(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want int
	}{
		{"", 0}, {"\n", 1}, {"\r\n", 2}, {"a", 1}, {"a\n\nb", 3}, {"a\r\n\r\nb", 5}, {"a\r\n\nb", 4},
		{"a\n\r\nb", 4}, {"a\r\rb\n", 5}, {"a\n \nb", 5}, {"\r\na\n\n", 2}, {"\r", 1},
	} {
		if got := HeaderEnd([]byte(tt.in)); got != tt.want {
			t.Errorf("%q: %d, want %d", tt.in, got, tt.want)
		}
	}
}

func TestReadHeader(t *testing.T) {
	letter := "A: " + strings.Repeat("x", 5000) + "\r\n\r\nbody"
	h, rest, err := ReadHeader(iotest.HalfReader(strings.NewReader(letter)), 1<<20)
	body, _ := io.ReadAll(rest)
	if err != nil || len(h) != len(letter)-4 || string(body) != "body" {
		t.Errorf("%v, header of %d, body %q", err, len(h), body)
	}
	h, rest, err = ReadHeader(strings.NewReader(letter), 100)
	body, _ = io.ReadAll(rest)
	if !errors.Is(err, ErrHeaderTooLong) || string(h)+string(body) != letter || len(h) != 100 {
		t.Errorf("too long: %v, header of %d", err, len(h))
	}
	broken := errors.New("broken")
	if _, _, err = ReadHeader(io.MultiReader(strings.NewReader("A: b\r\n"), iotest.ErrReader(broken)), 100); err != broken {
		t.Errorf("broken: %v", err)
	}
	t.Run("MIME-007 endless header", func(t *testing.T) {
		if h, _, err := ReadHeader(endless{}, 1000); err != ErrHeaderTooLong || len(h) != 1000 {
			t.Errorf("%v, %d bytes", err, len(h))
		}
	})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestUnfold(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{" a\r\n b\r\n", "a b"}, {"a\n\tb", "a b"}, {"a\r\n \tb\tc", "a \tb\tc"}, {"a\r\n\r\n b", "a  b"}, {"a\rb\x00c\nd", "a b c d"}, {" \r\n \r\n", ""}, {"", ""},
	} {
		if got := Unfold([]byte(tt.in)); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.in, got, tt.want)
		}
	}
}
