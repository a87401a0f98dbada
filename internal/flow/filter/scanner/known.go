package scanner

import "facteur/internal/flow/filter"

// Known are the remarks that a scanner can make.
func (c *Config) Known() []filter.Known {
	names := []string{c.Name}
	if c.Kind == Clamd {
		names = append(names, c.Name+"_virus", c.Name+"_"+named)
		for _, row := range table {
			if row.remark != "" {
				names = append(names, c.Name+"_"+row.remark)
			}
		}
	}
	out := make([]filter.Known, len(names))
	for i, name := range names {
		out[i] = filter.Known{Check: c.Name, Name: name}
	}
	return out
}
