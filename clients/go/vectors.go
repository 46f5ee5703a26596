package waypost

import (
	"encoding/binary"
	"math"
	"slices"

	"waypost/client/waypostv1"
)

const floatBytes = 4

// Vectors are the rows of a reply, one per text.
func Vectors(reply *waypostv1.EmbedResponse) [][]float32 {
	width := int(reply.GetDimensions())
	if width == 0 {
		return nil
	}
	return slices.Collect(slices.Chunk(floats(reply.GetVectors()), width))
}

func floats(packed []byte) []float32 {
	numbers := make([]float32, len(packed)/floatBytes)
	for i := range numbers {
		numbers[i] = math.Float32frombits(binary.LittleEndian.Uint32(packed[i*floatBytes:]))
	}
	return numbers
}
