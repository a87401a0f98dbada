package config

import "facteur/internal/base/conf"

// Journey is how long it can be explained what happened to a message.
type Journey struct {
	// How many days the steps of each message and each connection are kept, for
	// "facteur explain". They tell who wrote to whom, and no content.
	KeepDays int `toml:"keep_days"`
	// How much of the disk they may take. When it is less than the days need, the
	// oldest go first. A message needs about 1 KB.
	MaxSize conf.Size `toml:"max_size"`
}

func defaultJourney() Journey { return Journey{KeepDays: 14, MaxSize: 1 << 30} }

func (k *checker) journey() {
	k.atLeast("journey.keep_days", int64(k.c.Journey.KeepDays), 1)
	k.atLeast("journey.max_size", int64(k.c.Journey.MaxSize), 1<<20)
}
