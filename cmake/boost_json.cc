// Boost.JSON, compiled once for those who use it: Debian's package of headers holds no library.
#include <boost/json/src.hpp>
