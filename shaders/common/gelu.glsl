// kernels/ref/activation.cpp, with (1 + tanh y) / 2 as 1 / (1 + exp(-2 y)): no cancellation, and infinities come out right.
float geglu(float gate, float up) {
    const float inner = 0.7978845608 * (gate + 0.044715 * gate * gate * gate);
    return gate / (1.0 + exp(-2.0 * inner)) * up;
}
