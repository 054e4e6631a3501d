// The simulator as a program of its own, small and quick to link.
#include <vector>

#include "sim/sim_command.h"

int main(int argc, char** argv) { return quorate::sim::sim_main({argv + 1, argv + argc}); }
