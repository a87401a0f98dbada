package config

import (
	"reflect"
	"strings"
	"testing"
)

// Every setting of tables is found, wherever it stands, and its tables are opened once.
func TestMapsAreFound(t *testing.T) {
	t.Parallel()
	type inner struct {
		Deep Maps `toml:"deep"`
	}
	v := struct {
		Top    Maps    `toml:"top"`
		Hidden Maps    // no setting
		Many   []inner `toml:"many"`
		One    inner   `toml:"one"`
	}{Maps{"a"}, Maps{"x"}, []inner{{Maps{"b"}}, {Maps{"c"}}}, inner{Maps{"d"}}}
	var got []string
	eachMaps(reflect.ValueOf(v), "", func(key string, m Maps) { got = append(got, key+"="+m[0]) })
	if want := "top=a many[0].deep=b many[1].deep=c one.deep=d"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
