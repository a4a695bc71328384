"""How does the allocator fit into a trainer? One file a style of trainer; none imports a trainer or torch."""
