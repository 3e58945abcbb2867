// The tile of a product that a workgroup makes: TILE_ROWS x TILE_COLUMNS results, of which a thread has THREAD_ROWS rows and
// as many columns as then remain, all multiples of four. Tiles of inputs lie in shared memory as [K][rows or columns].
layout(constant_id = 1) const uint TILE_ROWS = 64;
layout(constant_id = 2) const uint TILE_COLUMNS = 64;
layout(constant_id = 3) const uint THREAD_ROWS = 4;
const uint THREAD_COLUMNS = TILE_ROWS * TILE_COLUMNS / (gl_WorkGroupSize.x * THREAD_ROWS);
const uint ROW_QUADS = THREAD_ROWS / 4, COLUMN_QUADS = THREAD_COLUMNS / 4;  // fours of a thread
const uint ROW_FOURS = TILE_ROWS / 4;                                     // fours of the tile
const uint COLUMN_FOURS = TILE_COLUMNS / 4 + 1;  // one more than used: columns written side by side fall into other banks
const uint THREADS_ALONG_ROWS = TILE_ROWS / THREAD_ROWS;

// A thread's fours lie apart, so that neighbours read neighbouring fours.
uint row_four(uint i) { return i * THREADS_ALONG_ROWS + gl_LocalInvocationIndex % THREADS_ALONG_ROWS; }
uint column_four(uint i) {
    return i * (TILE_COLUMNS / THREAD_COLUMNS) + gl_LocalInvocationIndex / THREADS_ALONG_ROWS;
}
