// How the rows of a text become one vector.
#pragma once

namespace ingot {

enum class Pooling { kMean, kCls, kLast };  // their mean, the first (BERT's [CLS]) or the last

}  // namespace ingot
