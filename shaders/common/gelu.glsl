// kernels/ref/activation.cpp, with (1 + tanh y) / 2 as 1 / (1 + exp(-2 y)): no cancellation, and infinities come out right.
// Precise: the same bits behind a product and in a shader of its own.
float geglu(float gate, float up) {
    precise const float inner = 0.7978845608 * (gate + 0.044715 * gate * gate * gate);
    precise const float gated = gate / (1.0 + exp(-2.0 * inner)) * up;
    return gated;
}
