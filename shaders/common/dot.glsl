// Packed dot products of four int8: OpSDot of SPV_KHR_integer_dot_product, by hand, as Debian 12's compiler does not know
// GL_EXT_integer_dot_product. 0 is the packed format of four 8-bit values.
#extension GL_EXT_spirv_intrinsics : require

spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int packed_dot(int a, int b, spirv_literal int format);

int dot4(int a, int b) { return packed_dot(a, b, 0); }
